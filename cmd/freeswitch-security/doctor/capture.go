package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/status"
)

// A wire is a source to which switches mirror their SIP packets.
type wire struct {
	ref    string
	listen netip.AddrPort
}

// wires returns the sources that receive mirrored packets.
func (x *exam) wires() (wires []wire) {
	if x.cfg == nil {
		return nil
	}
	for _, s := range x.cfg.Sources {
		if w, ok := s.Source.(interface{ Listen() netip.AddrPort }); ok {
			wires = append(wires, wire{s.Ref, w.Listen()})
		}
	}
	return wires
}

// A target is the value of capture-server: "udp:127.0.0.1:9060;hep=3;capture_id=100".
type target struct {
	host string // an address or a name
	port uint16
}

// minCapturePort is the lowest port to which FreeSWITCH mirrors.
const minCapturePort = 1024

// parseTarget reads a target as FreeSWITCH does: it mirrors nothing to one that it does not understand.
func parseTarget(text string) (target, error) {
	address, params, _ := strings.Cut(text, ";")
	address, udp := strings.CutPrefix(address, "udp:")
	host, port, err := net.SplitHostPort(address)
	number, errPort := strconv.ParseUint(port, 10, 16)
	known := params == "" || !slices.ContainsFunc(strings.Split(params, ";"), func(p string) bool {
		return p != "hep=1" && p != "hep=2" && p != "hep=3" && !strings.HasPrefix(p, "capture_id=")
	})
	if !udp || err != nil || errPort != nil || host == "" || number < minCapturePort || !known {
		return target{}, fmt.Errorf("%q is not udp:ADDRESS:PORT;hep=3 with a port of %d or more", shorten(text), minCapturePort)
	}
	return target{host, uint16(number)}, nil
}

// reaches reports whether packets to the target reach the source. A name may have any address.
func (t target) reaches(w wire, here bool, own []netip.Addr) bool {
	if t.port != w.listen.Port() {
		return false
	}
	ip, err := netip.ParseAddr(t.host)
	switch listen := w.listen.Addr(); {
	case err != nil:
		return t.host != "localhost" || here && (listen.IsLoopback() || listen.IsUnspecified())
	case ip.IsLoopback() && !here: // of the other host
		return false
	case listen.IsUnspecified():
		return ip.IsLoopback() || slices.Contains(own, ip.Unmap())
	default:
		return ip.Unmap() == listen
	}
}

const (
	sofiaConf  = "autoload_configs/sofia.conf.xml"
	whyCapture = "no event and no line of its log reports scans by OPTIONS, guessing by MESSAGE or SUBSCRIBE, or malformed packets; its mirrored packets show them. " + whyProven

	// whyProven says what the wire gains for protected addresses.
	whyProven = "Without them nothing proves who failed: an address with a registered phone may fail at other accounts 120 times an hour (security.protected_failures), and forged packets count"
	fixRescan = "then: fs_cli -x 'sofia profile NAME rescan'"
)

// fixTarget says how packets get to a listener.
func (x *exam) fixTarget(listen netip.AddrPort) string {
	return fmt.Sprintf("in %s, in global_settings:\n<param name=\"capture-server\" value=\"udp:%s;hep=3\"/>", x.confName(sofiaConf), listen)
}

func (x *exam) fixCapture(listen netip.AddrPort) string {
	return fmt.Sprintf("%s\nand in %s: <param name=\"sip-capture\" value=\"yes\"/>\n%s", x.fixTarget(listen), x.confName("sip_profiles/NAME.xml"), fixRescan)
}

// judgeCapture reports why FreeSWITCH does not mirror its packets to the rules' source.
func (x *exam) judgeCapture() {
	wires := x.wires()
	if x.noSofia {
		return
	}
	if len(wires) == 0 {
		x.report(info, "FreeSWITCH reports no scan by OPTIONS, no guessing by MESSAGE or SUBSCRIBE, and no malformed packet",
			"what is not reported is not seen, and not banned; mirrored packets show it. "+whyProven,
			"in the rules: source \"sip\" \"wire\" {}, and in locals: switch = [source.sip.wire, ...]\n"+x.fixCapture(netip.MustParseAddrPort("127.0.0.1:9060"))+
				"\nor allow only the networks of your phones and carriers at the SIP ports, if you know them")
		return
	}
	if x.sofia == nil {
		return
	}
	first := wires[0]
	given := lastOf(x.sofia.Global, "capture-server")
	if given == "" {
		severity := info
		if x.captures {
			severity = warning
		}
		x.report(severity, fmt.Sprintf("FreeSWITCH mirrors no SIP packets to source.%s: it has no capture-server", first.ref), whyCapture, x.fixCapture(first.listen))
		return
	}
	t, err := parseTarget(given)
	if err != nil {
		x.report(warning, "FreeSWITCH does not understand its capture-server: "+err.Error(), "it mirrors no SIP packets", x.fixTarget(first.listen)+"\n"+fixRescan)
		return
	}
	i := slices.IndexFunc(wires, func(w wire) bool { return t.reaches(w, x.here(), x.host.addresses()) })
	if i < 0 {
		at := net.JoinHostPort(t.host, strconv.Itoa(int(t.port)))
		x.report(warning, fmt.Sprintf("FreeSWITCH mirrors its SIP packets to %s, and source.%s listens on %s", shorten(at), first.ref, first.listen), whyCapture,
			fmt.Sprintf("%s\n%s\nand if another program needs the packets, in the rules: source \"sip\" … { forward = %q }", x.fixTarget(first.listen), fixRescan, shorten(at)))
		return
	}
	x.judgeMirror(wires[i])
}

// judgeMirror judges a capture whose packets would reach the source.
func (x *exam) judgeMirror(w wire) {
	var off, v6 []string
	for _, p := range x.profiles() {
		switch {
		case strings.Contains(p.param("sip-ip"), ":"):
			v6 = append(v6, shorten(p.Name))
		case !x.captures && p.isNot("sip-capture"):
			off = append(off, shorten(p.Name))
		}
	}
	if len(off) > 0 {
		x.report(warning, fmt.Sprintf("SIP profile %s does not mirror its packets (sip-capture)", strings.Join(off, ", ")), whyCapture,
			fmt.Sprintf("in %s:\n<param name=\"sip-capture\" value=\"yes\"/>\n%s\nor in the rules: source \"esl\" … { capture = true }", x.confName("sip_profiles/NAME.xml"), fixRescan))
	}
	if len(v6) > 0 {
		x.report(info, fmt.Sprintf("FreeSWITCH mirrors the packets of SIP profile %s without addresses, as of all IPv6", strings.Join(v6, ", ")),
			"a fault of its SIP library (sofia-sip): most attacks over IPv6 are seen by the event socket and the log alone",
			"mirror IPv6 by a capture agent: examples/wire")
	}
	switch heard, known := x.heard[w.ref]; {
	case known && heard == 0:
		x.report(warning, fmt.Sprintf("source.%s has received no packet", w.ref), "the running switch does not mirror: it may not have loaded its configuration, or the guard has just started",
			"fs_cli -x 'sofia profile NAME rescan'; fs_cli -x 'sofia global capture on'")
	case known:
		x.ok("FreeSWITCH mirrors its SIP packets to source.%s: %d received", w.ref, heard)
	case len(off) == 0:
		x.ok("FreeSWITCH is configured to mirror its SIP packets to source.%s", w.ref)
	}
}

// askGuard asks the running guard how many packets its sources have received, and about its fleet.
func (x *exam) askGuard(ctx context.Context, guard func(context.Context) (status.Status, error)) {
	if guard == nil || x.cfg == nil {
		return
	}
	found, err := guard(ctx)
	if err != nil {
		return // it may not run
	}
	x.fleet, x.dryRun = found.Fleet, found.DryRun
	x.heard = map[string]uint64{}
	for _, s := range found.Sources {
		x.heard[s.Name] = s.Lines
	}
}
