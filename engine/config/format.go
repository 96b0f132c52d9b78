package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays out a rule file in HCL's own syntax: indentation, and columns of equal
// signs and comments. A file that does not parse is refused with the reasons; name
// stands in them.
func Format(name string, src []byte) ([]byte, hcl.Diagnostics) {
	if file, diags := parsed(hclsyntax.ParseConfig, src, name); diags.HasErrors() {
		return nil, tidy(inWords(file, name, diags), Files{name: {Bytes: file.Bytes}}, startOf(name))
	}
	return hclwrite.Format(src), nil
}
