// Package config loads the configuration.
//
// Layer 1.
package config
