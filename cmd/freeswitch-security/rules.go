package main

import (
	"fmt"
	"os"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
)

// defaultRules are the directories that are tried if none is named.
var defaultRules = []string{"rules.d", "/etc/freeswitch-security/rules.d"}

// rulesDir returns the directory of the rules: that of the flag --rules, or of the argument of the
// verbs that take one, else the first default that exists.
func rulesDir(flag string, args ...string) (string, error) {
	dir := flag
	if len(args) > 0 {
		dir = args[0]
	}
	if flag != "" && dir != flag {
		return "", fmt.Errorf("the rules are in %s or in %s: name one of them", dir, flag)
	}
	if dir != "" {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is a file; name its directory", dir)
		}
		if err != nil {
			return "", fmt.Errorf("no rules: %w", err)
		}
		return dir, nil
	}
	for _, d := range defaultRules {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			return d, nil
		}
	}
	return "", fmt.Errorf("no rules: neither ./%s nor %s exists; name the directory", defaultRules[0], defaultRules[1])
}

// load reads the rules of [rulesDir] and prints their diagnostics. It fails with errNo if they
// cannot be used.
func (a *app) load(flag string, args ...string) (*config.Config, error) {
	dir, err := rulesDir(flag, args...)
	if err != nil {
		return nil, err
	}
	cfg, diags, files := config.Load(dir, kinds, a.environ)
	return cfg, a.complain(diags, files)
}

// complain prints diagnostics. It fails with errNo if one is an error.
func (a *app) complain(diags hcl.Diagnostics, files config.Files) error {
	err := config.Print(a.stderr, diags, files, uint(width(a.stderr)), a.colour(a.stderr))
	if err == nil && diags.HasErrors() {
		err = errNo
	}
	return err
}
