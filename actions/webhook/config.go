package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/event"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
)

// Kind makes actions of `action "webhook" "name" { … }` blocks.
var Kind = plugin.ActionKind{
	Name: "webhook", New: fromHCL,
	Targets: []ban.TargetKind{ban.TargetAddress, ban.TargetNetwork, ban.TargetEndpoint, ban.TargetAccount},
}

// config is an action block, checked. Two with the same words are deeply equal.
type config struct {
	name        string // the reference: "webhook.noc"
	url         string
	method      string
	headers     map[string]string
	template    string
	contentType string
	vars        map[string]string
	secret      string
	on          []ban.Kind

	groupWait time.Duration
	groupMax  int
	timeout   time.Duration // of one attempt
	giveUp    time.Duration // the age at which a notice is no longer worth telling
	queue     int           // notices

	ca, cert, key string // PEM
	allowPrivate  bool
}

// attributes are the names that a block may set.
var attributes = []string{
	"url", "method", "headers", "template", "content_type", "vars", "secret", "on", "group_wait", "group_max",
	"timeout", "give_up", "queue", "ca", "cert", "key", "allow_private",
}

// kinds are the words of the attribute on.
var kinds = []ban.Kind{ban.Banned, ban.Extended, ban.Expired, ban.Lifted, ban.Alerted, ban.Spared}

func fromHCL(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	body, eval := b.Raw()
	env.Eval = eval
	c, diags := decode(body, env)
	b.Add(diags)
	return newAction(c)
}

func decode(body hcl.Body, env plugin.ActionEnv) (config, hcl.Diagnostics) {
	schema := &hcl.BodySchema{}
	for _, name := range attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name, Required: name == "url"})
	}
	content, diags := body.Content(schema)
	d := &decoder{content: content, eval: env.Eval, diags: diags}
	c := config{
		name: env.Name, method: http.MethodPost, contentType: typeJSON,
		on: []ban.Kind{ban.Banned, ban.Alerted, ban.Spared}, groupWait: time.Second, groupMax: 100,
		timeout: 10 * time.Second, giveUp: 24 * time.Hour, queue: 10000, allowPrivate: true,
	}
	d.target(&c)
	d.headers(&c)
	d.kinds(&c)
	d.duration("group_wait", &c.groupWait, 0, time.Hour)
	d.number("group_max", &c.groupMax, 1, 1000)
	d.duration("timeout", &c.timeout, 100*time.Millisecond, 5*time.Minute)
	d.duration("give_up", &c.giveUp, time.Minute, 30*24*time.Hour)
	d.number("queue", &c.queue, 1, 1_000_000)
	d.tls(&c)
	d.form(&c)
	return c, d.diags
}

// A decoder reads attributes one after the other and gathers what is wrong with
// them. It never quotes a value: one that stands in the file is seen in the piece
// of it that is shown, and any other may be a secret.
type decoder struct {
	content *hcl.BodyContent
	eval    *hcl.EvalContext
	diags   hcl.Diagnostics
}

// value decodes an attribute into target, which keeps its default where the
// attribute is absent. It is ok if there is a value.
func (d *decoder) value(name string, target any) (ok bool) {
	attr, there := d.content.Attributes[name]
	if !there {
		return false
	}
	diags := gohcl.DecodeExpression(attr.Expr, d.eval, target)
	d.diags = append(d.diags, diags...)
	return !diags.HasErrors()
}

// check turns an error into a diagnostic on the attribute.
func (d *decoder) check(name, summary string, err error) {
	if err == nil {
		return
	}
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: err.Error()}
	if attr, ok := d.content.Attributes[name]; ok {
		diag.Subject, diag.Context = attr.Expr.Range().Ptr(), attr.Range.Ptr()
	} else {
		diag.Subject = d.content.MissingItemRange.Ptr()
	}
	d.diags = append(d.diags, diag)
}

func (d *decoder) duration(name string, target *time.Duration, shortest, longest time.Duration) {
	var written string
	if !d.value(name, &written) {
		return
	}
	length, err := ban.ParseDuration(written)
	if written == "0" || written == "0s" {
		length, err = 0, nil
	}
	if err != nil || length < shortest || length > longest {
		d.check(name, "Not a suitable duration", fmt.Errorf(`write a duration from %s to %s, such as "90s" or "10m"`,
			ban.FormatDuration(shortest), ban.FormatDuration(longest)))
		return
	}
	*target = length
}

func (d *decoder) number(name string, target *int, lowest, highest int) {
	if d.value(name, target) && (*target < lowest || *target > highest) {
		d.check(name, "Not a suitable number", fmt.Errorf("write a whole number from %d to %d", lowest, highest))
	}
}

func (d *decoder) target(c *config) {
	if d.value("url", &c.url) {
		d.check("url", "Not a URL to tell", checkURL(c.url))
	}
	d.value("method", &c.method)
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, c.method) {
		d.check("method", "Not a method", errors.New(`write "POST", "PUT" or "PATCH"`))
	}
	if d.value("secret", &c.secret) && c.secret == "" {
		d.check("secret", "No secret", errors.New("the secret is empty, so that anybody could sign: set the environment variable that it comes from, or leave the attribute out"))
	}
	d.value("allow_private", &c.allowPrivate)
}

// checkURL says what is wrong with a URL, without showing it: its path is the
// password with many services.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return errors.New(`the URL is empty: set the environment variable that it comes from, or take the block out`)
	case err != nil:
		return errors.New("it is not shown, because it may hold a token, but it is no URL: look for blanks, line breaks and lone % in it")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New(`it must begin with "https://" or "http://"`)
	case u.Hostname() == "":
		return errors.New(`there is no host in it: write "https://host/path"`)
	}
	return nil
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// ourHeaders are set by the action itself.
var ourHeaders = []string{
	"Content-Length", "Transfer-Encoding", "Connection", "Content-Encoding", headerIdempotency, headerSignature, headerTimestamp,
}

func (d *decoder) headers(c *config) {
	given := map[string]string{}
	d.value("headers", &given)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			d.check("headers", "Not a header", errors.New("a header's name has letters, digits and - only"))
		case canonical == "Content-Type":
			d.check("headers", "Not a header of yours", errors.New("write content_type = … instead"))
		case slices.Contains(ourHeaders, canonical):
			d.check("headers", "Not a header of yours", fmt.Errorf("%s is set by the action itself", canonical))
		case strings.ContainsFunc(given[name], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			d.check("headers", "Not a header's value", fmt.Errorf("the value of %s has a line break or another control character in it", canonical))
		case given[name] == "":
			d.check("headers", "Empty header", fmt.Errorf("the value of %s is empty: set the environment variable that it comes from, or leave the header out", canonical))
		}
		if c.headers == nil {
			c.headers = map[string]string{}
		}
		c.headers[canonical] = given[name]
	}
}

func (d *decoder) kinds(c *config) {
	var words []string
	if !d.value("on", &words) {
		return
	}
	var known []string
	for _, k := range kinds {
		known = append(known, k.String())
	}
	c.on = nil
	for _, word := range words {
		i := slices.Index(known, word)
		if i < 0 {
			d.check("on", "Nothing to be told of", fmt.Errorf("write any of %q.%s", known, event.DidYouMean(word, known)))
		} else if !slices.Contains(c.on, kinds[i]) {
			c.on = append(c.on, kinds[i])
		}
	}
	if len(words) == 0 {
		d.check("on", "Nothing to be told of", fmt.Errorf("write any of %q", known))
	}
	slices.Sort(c.on)
}

func (d *decoder) tls(c *config) {
	d.value("ca", &c.ca)
	d.value("cert", &c.cert)
	d.value("key", &c.key)
	if c.ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.ca)) {
		d.check("ca", "Not a certificate", errors.New(`there is no certificate in PEM form in it; write file("ca.pem")`))
	}
	switch {
	case (c.cert == "") != (c.key == ""):
		d.check("cert", "Half a certificate", errors.New("cert and key belong together: give both, or neither"))
	case c.cert != "":
		if _, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key)); err != nil {
			d.check("cert", "Not a certificate and its key", errors.New(`cert and key must be a certificate in PEM form and its private key; write file("cert.pem")`))
		}
	}
}

func (d *decoder) form(c *config) {
	d.value("vars", &c.vars)
	d.value("content_type", &c.contentType)
	if _, _, err := mime.ParseMediaType(c.contentType); err != nil {
		d.check("content_type", "Not a content type", errors.New(`write one such as "application/json" or "text/plain; charset=utf-8"`))
		return
	}
	if d.value("template", &c.template) && c.template == "" {
		d.check("template", "No template", errors.New("the template is empty: leave the attribute out for the default form"))
	}
	_, err := newForm(c.template, c.contentType, c.vars)
	d.check("template", "Template does not work", err)
}
