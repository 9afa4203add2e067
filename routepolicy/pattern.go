package routepolicy

import (
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/pattern"
)

// compilePattern reads a pattern; its error is only what is wrong with it.
func compilePattern(text string) (pattern.Pattern, error) {
	p, err := pattern.Parse(text)
	if err != nil {
		return pattern.Pattern{}, errors.New(countersign.MessageOf(err))
	}
	return p, nil
}
