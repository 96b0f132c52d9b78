package main

import (
	"fmt"
	"os"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
)

// rulesDirs is where rules are looked for when no directory is named.
var rulesDirs = []string{"rules.d", "/etc/freeswitch-security/rules.d"}

// rulesDir returns dir, or the first default directory that exists.
func rulesDir(dir string) (string, error) {
	if dir != "" {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is a file; name the directory that it stands in", dir)
		}
		if err != nil {
			return "", fmt.Errorf("no rules: %w", err)
		}
		return dir, nil
	}
	for _, d := range rulesDirs {
		if info, err := os.Stat(d); err == nil && info.IsDir() {
			return d, nil
		}
	}
	return "", fmt.Errorf("no rules: neither ./%s nor %s exists; name the directory", rulesDirs[0], rulesDirs[1])
}

// load reads the rules of a directory and prints what is wrong with them to
// standard error. It fails with errNo where they cannot be used.
func (a *app) load(dir string) (*config.Config, error) {
	cfg, diags, files, err := a.read(dir)
	if err != nil {
		return nil, err
	}
	if err := a.complain(diags, files); err != nil {
		return nil, err
	}
	return cfg, nil
}

func (a *app) read(dir string) (*config.Config, hcl.Diagnostics, config.Files, error) {
	dir, err := rulesDir(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	cfg, diags, files := config.Load(dir, kinds, a.environ)
	return cfg, diags, files, nil
}

// complain prints diagnostics; it fails with errNo if an error is among them.
func (a *app) complain(diags hcl.Diagnostics, files config.Files) error {
	if err := config.Print(a.stderr, diags, files, uint(width(a.stderr)), a.colour(a.stderr)); err != nil {
		return err
	}
	if diags.HasErrors() {
		return errNo
	}
	return nil
}

// dirOf is the directory of a verb that takes it as its argument, or as others do
// with --rules; "" where neither says it.
func dirOf(flag string, args []string) (string, error) {
	switch {
	case len(args) == 0:
		return flag, nil
	case flag != "":
		return "", fmt.Errorf("the rules are in %s or in %s: name one of them", args[0], flag)
	}
	return args[0], nil
}
