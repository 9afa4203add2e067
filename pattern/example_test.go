package pattern_test

import (
	"fmt"

	"github.com/countersign/countersign/pattern"
)

func Example() {
	p, err := pattern.Parse("repo:acme/*:ref:refs/heads/main")
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Match("repo:acme/docs:ref:refs/heads/main"))
	fmt.Println(p.Match("repo:acme/docs:evil:ref:refs/heads/main")) // * crosses no separator
	// Output:
	// true
	// false
}
