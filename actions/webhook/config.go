package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"mime"
	"net/http"
	"time"

	"freeswitch-security/engine/ban"
	"freeswitch-security/engine/plugin"
	"freeswitch-security/engine/settings"
	"freeswitch-security/engine/webclient"
)

// Kind makes actions of `action "webhook" "name" { … }` blocks.
var Kind = plugin.ActionKind{
	Name: "webhook", New: fromHCL,
	Targets: []ban.TargetKind{ban.TargetAddress, ban.TargetNetwork, ban.TargetEndpoint, ban.TargetAccount},
}

// config is an action block, checked.
type config struct {
	name    string // the reference: "webhook.noc"
	url     string
	method  string
	headers map[string]string
	form    form
	vars    map[string]string
	secret  string
	on      []string // kinds of changes

	groupWait time.Duration
	groupMax  int
	timeout   time.Duration // of one attempt
	giveUp    time.Duration // the age at which a notification is dropped
	queue     int           // notifications

	ca, cert, key string // PEM
	allowPrivate  bool
}

func fromHCL(b *settings.Block, env plugin.ActionEnv) plugin.Action {
	c := config{
		name: env.Name, method: http.MethodPost, form: form{contentType: typeJSON},
		on: []string{"ban", "alert", "spare"}, groupWait: time.Second, groupMax: 100,
		timeout: 10 * time.Second, giveUp: 24 * time.Hour, queue: 10000, allowPrivate: true,
	}
	c.read(b)
	return newAction(c)
}

func (c *config) read(b *settings.Block) {
	if b.Require("url", `Write where to send to: url = env("NOC_WEBHOOK").`) {
		b.URL("url", &c.url)
	}
	b.Enum("method", &c.method, http.MethodPost, http.MethodPut, http.MethodPatch)
	c.headers = webclient.Headers(b, headerIdempotency, headerSignature, headerTimestamp)
	if b.String("secret", &c.secret) && c.secret == "" {
		b.Error("secret", "Empty secret", "Anyone can sign with an empty secret: set the environment variable that it comes from, or leave the attribute out.")
	}
	var kinds []string
	for _, k := range ban.Told {
		kinds = append(kinds, string(k))
	}
	if b.Enums("on", &c.on, kinds...) && len(c.on) == 0 {
		b.Error("on", "Empty list", "Write at least one kind of change, such as on = [\"alert\"].")
	}
	b.Duration("group_wait", &c.groupWait, 0, time.Hour)
	b.Int("group_max", &c.groupMax, 1, 1000)
	b.Duration("timeout", &c.timeout, 100*time.Millisecond, 5*time.Minute)
	b.Duration("give_up", &c.giveUp, time.Minute, 30*24*time.Hour)
	b.Int("queue", &c.queue, 1, 1_000_000)
	b.Bool("allow_private", &c.allowPrivate)
	c.readTLS(b)
	c.readTemplate(b)
}

func (c *config) readTLS(b *settings.Block) {
	b.String("ca", &c.ca)
	b.String("cert", &c.cert)
	b.String("key", &c.key)
	if c.ca != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.ca)) {
		b.Error("ca", "Invalid certificate", `The value holds no certificate in PEM form: write file("ca.pem").`)
	}
	if (c.cert == "") != (c.key == "") {
		b.Error("cert", "Incomplete certificate", "The attributes cert and key belong together: give both, or neither.")
	} else if c.cert != "" {
		if _, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key)); err != nil {
			b.Error("cert", "Invalid certificate", `The attributes cert and key must be a certificate in PEM form and its private key: write file("cert.pem").`)
		}
	}
}

func (c *config) readTemplate(b *settings.Block) {
	b.Map("vars", &c.vars)
	b.String("content_type", &c.form.contentType)
	if _, _, err := mime.ParseMediaType(c.form.contentType); err != nil {
		b.Error("content_type", "Invalid content type", `Write one such as "application/json" or "text/plain; charset=utf-8".`)
		return
	}
	source := ""
	switch read := b.String("template", &source); {
	case read && source == "":
		b.Error("template", "Empty template", "Leave the attribute out for the default form.")
	case read:
		b.Check("template", "Invalid template", c.form.parse(source, c.vars))
	}
}
