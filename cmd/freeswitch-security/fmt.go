package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"freeswitch-security/engine/config"

	"github.com/spf13/cobra"
)

func (a *app) format() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [DIR]",
		Short: "Bring rule files into their usual form",
		Long: `Bring the *.hcl files of a directory into their usual form, and print the names
of those that changed. A file that does not parse is left alone.

Exit status: 0 all files are in form; 1 with --check: some are not; 2 it could
not be done.`,
		Example: "  freeswitch-security fmt rules.d\n  freeswitch-security fmt --check rules.d",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := rulesDir(dirArg(args))
			if err != nil {
				return err
			}
			return a.formatDir(dir, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail if a file is not in form")
	return cmd
}

func (a *app) formatDir(dir string, check bool) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.hcl"))
	if err != nil {
		return err
	}
	changed := false
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		formed, diags := config.Format(path, src)
		if diags.HasErrors() {
			return a.complain(diags, nil)
		}
		if bytes.Equal(src, formed) {
			continue
		}
		changed = true
		fmt.Fprintln(a.stdout, path)
		if check {
			continue
		}
		if err := replaceFile(path, formed); err != nil {
			return err
		}
	}
	if check && changed {
		return errNo
	}
	return nil
}

// replaceFile puts content in the place of a file at once, so that a reload
// meanwhile, or a full disk, never sees half of it.
func replaceFile(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // already gone after the rename
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Chmod(info.Mode())
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
