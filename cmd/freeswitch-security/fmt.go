package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"freeswitch-security/engine/config"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
)

func (a *app) format() *cobra.Command {
	var check bool
	var rules string
	cmd := &cobra.Command{
		Use:   "fmt [DIR]",
		Short: "Format rule files",
		Long: `Format the *.hcl files of a directory, and print the names of changed files.
A file that does not parse stays as it is.

Exit status: 0 all files are formatted; 1 some do not parse or, with --check,
are not formatted; 2 it could not be done.`,
		Example: "  freeswitch-security fmt rules.d\n  freeswitch-security fmt --check rules.d",
		Args:    one("DIR", 0),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := rulesDir(rules, args...)
			if err != nil {
				return err
			}
			return a.formatDir(dir, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail if a file is not formatted")
	cmd.Flags().StringVar(&rules, "rules", "", "directory of the rules, as DIR")
	return cmd
}

func (a *app) formatDir(dir string, check bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var changed bool
	var mistakes hcl.Diagnostics
	files := config.Files{}
	for _, entry := range entries {
		// Hidden files are drafts of editors.
		if entry.IsDir() || filepath.Ext(entry.Name()) != ".hcl" || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		formed, diags := config.Format(path, src)
		mistakes = append(mistakes, diags...)
		files[path] = &hcl.File{Bytes: src}
		if diags.HasErrors() || bytes.Equal(src, formed) {
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
	if err := a.complain(mistakes, files); err != nil {
		return err
	}
	if check && changed {
		return errNo
	}
	return nil
}

// replaceFile replaces a file atomically, for a reload at the same time or a full disk. The file
// keeps its owner and mode, and a symbolic link to it stays one.
func replaceFile(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".fmt-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // gone after the rename
	owner := info.Sys().(*syscall.Stat_t)
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chown(int(owner.Uid), int(owner.Gid)), temporary.Chmod(info.Mode()), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
