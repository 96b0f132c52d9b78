package main

import (
	"bytes"
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
		Short: "Bring rule files into their usual form",
		Long: `Bring the *.hcl files of a directory into their usual form, and print the names
of those that changed. A file that does not parse is left alone.

Exit status: 0 all files are in form; 1 some do not parse or, with --check, are
not in form; 2 it could not be done.`,
		Example: "  freeswitch-security fmt rules.d\n  freeswitch-security fmt --check rules.d",
		Args:    atMostOne("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := dirOf(rules, args)
			if err == nil {
				dir, err = rulesDir(dir)
			}
			if err != nil {
				return err
			}
			return a.formatDir(dir, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; fail if a file is not in form")
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
		// Hidden files are no rule files: editors keep their drafts there.
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

// replaceFile puts content in the place of a file at once, so that a reload
// meanwhile, or a full disk, never sees half of it. The file keeps its owner and
// mode, and a symbolic link to it stays one.
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
	defer os.Remove(temporary.Name()) // already gone after the rename
	_, err = temporary.Write(content)
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = temporary.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = temporary.Chmod(info.Mode())
	}
	if err == nil {
		err = temporary.Sync()
	}
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
