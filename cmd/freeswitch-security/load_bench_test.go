package main

import (
	"testing"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
)

// BenchmarkLoad reads the shipped rules, with their tests and without.
func BenchmarkLoad(b *testing.B) {
	for name, load := range map[string]func(string, config.Kinds, func(string) (string, bool)) (*config.Config, hcl.Diagnostics, config.Files){
		"check": config.Load, "run": config.LoadRules,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, diags, _ := load(shippedRules, kinds, nil); diags.HasErrors() {
					b.Fatal(diags)
				}
			}
		})
	}
}
