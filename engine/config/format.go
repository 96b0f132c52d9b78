package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays out a rule file in HCL's own syntax as all of them are laid out:
// indentation, and columns of equal signs and comments. A file that does not
// parse is refused with the reasons; name stands in them.
func Format(name string, src []byte) ([]byte, hcl.Diagnostics) {
	files := Files{name: &hcl.File{Bytes: src}}
	if excess := checkNative(src, name); excess != nil {
		return nil, tidy(hcl.Diagnostics{excess}, files, startOf(name))
	}
	if _, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos); diags.HasErrors() {
		return nil, tidy(diags, files, startOf(name))
	}
	return hclwrite.Format(src), nil
}
