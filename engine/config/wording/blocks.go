package wording

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"freeswitch-security/engine/event"
	"freeswitch-security/engine/regex"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Places of what other programs, mostly fail2ban, have words for.
const (
	count    = `How many matches fire a rule is count in its threshold block: count = 5.`
	within   = `The time in which they count is within in the threshold block: within = "10m".`
	term     = `How long a ban lasts is for in the ban block: for = "1h".`
	trusted  = `Addresses that are never banned stand in a block of their own: trusted "office", with networks = ["192.0.2.0/24"].`
	ports    = `Which ports a banned address cannot reach is for all rules, in the action: action "iptables" "drop", with ports = ["5060"].`
	match    = `What counts is match in the rule: match = "event == 'auth_failure'". Lines of your own are event blocks of a source "log".`
	path     = `Where the log is stands in its source: source "log" "freeswitch", with path = "/var/log/freeswitch/freeswitch.log".`
	enforces = `How a ban is enforced stands in an action block. A rule uses all of them, or those that it names: ban { actions = [action.iptables.drop] }.`
	jail     = `What fail2ban has in a jail is a rule here: rule "guessing", with on, match, threshold and ban.`
	off      = `A rule bans nothing with ban { enabled = false }. To switch it off, remove it; to switch off a source, write enabled = false into its block.`
	dry      = `To decide and report but ban no address: security { auto_block_enabled = false }.`
	remark   = `Write it as a comment: # and the text.`
)

// elsewhere says by words of other programs where the same stands.
var elsewhere = map[string]string{
	"maxretry": count, "max_retry": count, "maxmatches": count, "attempts": count, "max_attempts": count, "retries": count, "limit": count, "max": count,
	"findtime": within, "find_time": within, "window": within, "interval": within, "period": within, "duration_window": within,
	"bantime": term, "ban_time": term, "duration": term, "block_time": term, "blocktime": term, "timeout": term, "ban_duration": term, "bantime_increment": term, "expire": term,
	"ignoreip": trusted, "ignore_ip": trusted, "ignoreself": trusted, "whitelist": trusted, "allowlist": trusted, "allow": trusted, "ignore": trusted, "exclude": trusted, "white_list": trusted,
	"port": ports, "ports": ports, "protocol": ports, "protocols": ports,
	"filter": match, "failregex": match, "ignoreregex": match, "regex": match, "pattern": match, "datepattern": match, "condition": match, "when": match, "if": match,
	"logpath": path, "log_path": path, "log": path, "log_file": path, "logfile": path, "file": path, "logencoding": path,
	"action": enforces, "banaction": enforces, "ban_action": enforces, "backend": enforces, "usedns": enforces, "actions": enforces, "chain": enforces,
	"jail": jail, "jails": jail, "enabled": off, "enable": off, "disabled": off, "active": off, "dry_run": dry, "dryrun": dry, "auto_block": dry, "autoblock": dry,
	"description": remark, "comment": remark, "severity": remark, "priority": remark, "name": `The name of a block stands behind its kind: rule "guessing".`,
}

// owners says in which block an attribute or a block stands.
var owners = map[string]string{
	"count": "threshold", "within": "threshold", "per": "threshold", "distinct": "threshold", "then": "threshold", "concurrent": "threshold",
	"for": "ban", "forget": "ban", "network": "ban", "all": "ban", "target": "ban", "every": "alert", "bans": "brake", "times": "given", "given": "test",
	"on": "rule", "match": "rule", "scope": "rule", "threshold": "rule", "ban": "rule", "alert": "rule", "brake": "rule", "test": "rule",
	"trusted_networks": "security", "block_duration": "security", "auto_block_enabled": "security", "iptables_chain": "security", "protect": "security", "nat64": "security", "protected_failures": "security",
	"networks": "trusted", "users": "trusted", "names": "trusted", "path": `source "log"`, "corroborate": `source "log"`, "password": `source "esl"`, "hooks": `action "iptables"`, "url": `action "webhook"`, "country": "numbering",
}

var ownNames = slices.Sorted(maps.Keys(owners))

// Block gives what HCL says of a file that parses the words of an operator. file may be nil.
func Block(diag *hcl.Diagnostic, file *hcl.File) {
	if file == nil || diag.Subject == nil {
		return
	}
	word := strings.Trim(string(diag.Subject.SliceBytes(file.Bytes)), `"`)
	switch summary := diag.Summary; {
	case summary == "Unsupported argument", summary == "Unsupported block type", summary == "Extraneous JSON object property":
		unknown(diag, word, inside(diag.Subject.Start.Byte, file))
	case summary == "Unknown variable" && !strings.HasSuffix(diag.Subject.Filename, ".json"):
		diag.Detail = variable(strings.SplitN(word, ".", 2)[0])
	case summary == "Attribute redefined":
		if at := redefined.Use().FindStringSubmatch(diag.Detail); at != nil {
			diag.Detail = fmt.Sprintf("The attribute %q is set in line %s already. Remove one of them.", at[1], at[2])
		}
	case strings.HasPrefix(summary, "Missing name for "), strings.HasPrefix(summary, "Missing kind for "):
		kind := summary[strings.LastIndexByte(summary, ' ')+1:]
		diag.Summary, diag.Detail = "Name missing", "A block of the kind "+kind+" has "+named(kind)
	case strings.HasPrefix(summary, "Extraneous label for "):
		kind := summary[strings.LastIndexByte(summary, ' ')+1:]
		diag.Summary, diag.Detail = "Name too many", "A block of the kind "+kind+" has "+named(kind)
	}
}

var redefined = regex.New(`The argument "([^"]+)" was already set at .*:(\d+),`)

// named says how the name of a block is written.
func named(kind string) string {
	switch kind {
	case "source":
		return `a kind and a name: source "log" "freeswitch".`
	case "action":
		return `a kind and a name: action "iptables" "drop".`
	case "trusted":
		return `one name: trusted "office".`
	case "rule", "test":
		return fmt.Sprintf(`one name, in double quotes if it has several words: %s "password guessing".`, kind)
	case "event":
		return `one name: event "portal_login_failed".`
	}
	return "no name."
}

// unknown rewords that a block has no such attribute or block.
func unknown(diag *hcl.Diagnostic, word string, around []string) {
	was, instead := diag.Detail, ""
	where := owners[word]
	plain := strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	switch {
	case strings.Contains(was, "Did you mean to define a block of type"):
		instead = fmt.Sprintf("A block has no equals sign: %s { … }.", word)
	case strings.Contains(was, "Did you mean to define argument"):
		instead = fmt.Sprintf("An attribute has an equals sign: %s = …", word)
	case where != "" && !slices.Contains(around, where):
		instead = fmt.Sprintf("It stands in the block %s.", where)
	case elsewhere[plain] != "":
		instead = elsewhere[plain]
	case strings.Contains(was, "Did you mean "):
		instead = was[strings.Index(was, "Did you mean "):]
	default:
		near := event.Mistyped(plain, ownNames)
		if near == "" {
			break
		}
		instead = fmt.Sprintf("Did you mean %q?", near)
		if !slices.Contains(around, owners[near]) {
			instead += fmt.Sprintf(" It stands in the block %s.", owners[near])
		}
	}
	what := "Outside of a block there is"
	if n := len(around); n > 0 {
		what = fmt.Sprintf("In a block of the kind %s there is", around[n-1])
	}
	if strings.HasSuffix(diag.Subject.Filename, ".json") {
		what = "There is"
	}
	kind := "attribute"
	if diag.Summary == "Unsupported block type" {
		kind = "block"
	}
	diag.Detail = strings.TrimSpace(fmt.Sprintf("%s no %s %q. %s", what, kind, word, instead))
}

// inside names the blocks around a place of a file in HCL's own syntax, the innermost last.
func inside(at int, file *hcl.File) (around []string) {
	body, ok := file.Body.(*hclsyntax.Body)
	for ok {
		i := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool {
			return b.OpenBraceRange.End.Byte <= at && at <= b.CloseBraceRange.Start.Byte
		})
		if i < 0 {
			break
		}
		around, body = append(around, body.Blocks[i].Type), body.Blocks[i].Body
	}
	return around
}

var capitals = regex.New(`^[A-Z][A-Z0-9_]+$`)

// variable says what to write in place of a word without quotes.
func variable(word string) string {
	switch strings.ToLower(word) {
	case "yes", "on", "enabled", "true":
		return fmt.Sprintf("%q is no value. Write true.", word)
	case "no", "off", "disabled", "false":
		return fmt.Sprintf("%q is no value. Write false.", word)
	}
	if capitals.Use().MatchString(word) {
		return fmt.Sprintf("A variable of the environment is written env(%s), a text in double quotes.", strconv.Quote(word))
	}
	return fmt.Sprintf("A text stands in double quotes: write %s. A value of a locals block is local. and its name.", strconv.Quote(word))
}
