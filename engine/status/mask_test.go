package status

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// public are the texts that Mask leaves: names of the rule files and of this host, and errors of files, databases and connections.
var public = strings.Fields(`Version Severity State.Error State.Damage Reload.Error Names
	Problems.Severity Problems.Subject Problems.Text
	Rules.Name Rules.Where Rules.On
	Sources.Name Sources.Fault Sources.Problems.Severity Sources.Problems.Subject Sources.Problems.Text
	Actions.Name Actions.Report.Problems.Severity Actions.Report.Problems.Subject
	Fleet.Node Fleet.Bucket Fleet.Server Fleet.Notices.Kind Fleet.Peers.Name Fleet.Peers.Version Fleet.Problems.Severity Fleet.Problems.Subject Fleet.Problems.Text
	GeoIP.Path GeoIP.Built GeoIP.Error Stats.Tallies.Rule Stats.Tallies.Source Stats.Countries.Name`)

// TestMask: each text of a status is hidden, or known to name no account. A new one must be decided.
func TestMask(t *testing.T) {
	const account = "1007@pbx.example"
	var s, kept Status
	texts(reflect.ValueOf(&s).Elem(), "", func(_ string, v reflect.Value) { v.SetString(account) })
	texts(reflect.ValueOf(&kept).Elem(), "", func(_ string, v reflect.Value) { v.SetString(account) })
	s.Actions[0].Private, kept.Actions[0].Private = true, true
	s.Problems = append(s.Problems, Problem{Critical, "action " + account, account})
	shared := s // a shallow copy, as that of another reader
	s.Mask()
	var shown []string
	texts(reflect.ValueOf(&s).Elem(), "", func(path string, v reflect.Value) {
		if v.String() == account {
			shown = append(shown, path)
		} else if v.String() == hidden {
			return
		} else if !strings.HasPrefix(path, "Problems.") {
			t.Errorf("%s: %q", path, v)
		}
	})
	slices.Sort(shown)
	slices.Sort(public)
	if shown = slices.Compact(shown); !slices.Equal(shown, public) {
		t.Errorf("shown are\n%q, want\n%q", shown, public)
	}
	if p := s.Problems[len(s.Problems)-1]; p.Text != hidden {
		t.Errorf("%+v", p)
	}
	shared.Problems = shared.Problems[:1]
	if !reflect.DeepEqual(shared, kept) {
		t.Errorf("another reader sees %+v", shared)
	}
}

// texts passes each text of a value, with one element in each list.
func texts(v reflect.Value, path string, pass func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		pass(path, v)
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		texts(v.Elem(), path, pass)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			texts(v.Index(i), path, pass)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				texts(v.Field(i), strings.TrimPrefix(path+"."+f.Name, "."), pass)
			}
		}
	}
}
