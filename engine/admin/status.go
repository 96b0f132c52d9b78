package admin

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// statusAge is how old a snapshot may be: to make one interrupts the counting for
// some microseconds.
const statusAge = 250 * time.Millisecond

// snapshot returns how the engine is doing.
func (s *Server) snapshot(ctx context.Context) (Status, error) {
	status, err := s.status.within(ctx, statusAge)
	if err != nil {
		return status, faultf(http.StatusServiceUnavailable, "status: %v", err)
	}
	return status, nil
}

// problems says in words what is wrong with the engine and in the kernel, and in one
// word what that makes of the guard. That nobody hears its messages does not degrade it:
// attacks are seen and bans are in force, and to take its host out of service helps
// nobody.
func (s *Server) problems(ctx context.Context, st *Status) (word string, all list[string]) {
	all = s.ailments(ctx, st)
	word = inAWord(all)
	for _, action := range st.Actions {
		d := action.Delivery
		if d != nil && d.Err != "" {
			all = append(all, "action "+action.Name+" does not reach whom it should tell: "+d.Err)
		}
		if d != nil && d.Unkept != "" {
			all = append(all, "action "+action.Name+" would lose what it has not told yet at a restart: "+d.Unkept)
		}
	}
	return word, all
}

// ailments are the problems that keep the guard from its work, or may.
func (s *Server) ailments(ctx context.Context, st *Status) list[string] {
	var all list[string]
	if st.Unsaved != "" {
		all = append(all, "state not saved: "+st.Unsaved)
	}
	if st.ReloadError != "" {
		all = append(all, "rules not reloaded: "+st.ReloadError)
	}
	for _, source := range st.Sources {
		switch {
		case source.Fault != "":
			all = append(all, "source "+source.Name+": "+source.Fault)
		case !source.Running:
			all = append(all, "source "+source.Name+": it is not being followed")
		case source.Warning != "":
			all = append(all, "source "+source.Name+": "+source.Warning)
		}
	}
	for _, action := range st.Actions {
		if action.Err != "" {
			all = append(all, "action "+action.Name+": "+action.Err)
		}
	}
	kernel, err := s.standing(ctx, lately)
	if err != nil {
		return append(all, err.Error())
	}
	for _, v := range kernel.views {
		for _, text := range slices.Concat(v.Errors, v.Warnings) {
			if text = "action " + v.Action + ": " + text; !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all
}

// inAWord is the status that a list of problems stands for.
func inAWord(problems []string) string {
	if len(problems) > 0 {
		return "degraded"
	}
	return "ok"
}

type healthShape struct {
	Status   string        `json:"status"`
	Version  string        `json:"version,omitempty"`
	Problems *list[string] `json:"problems,omitempty"`
}

// health answers GET /health: 200 as long as there is anybody to answer, so that
// nobody restarts a guard because a switch is down.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	var problems list[string]
	var shape healthShape
	status, err := s.snapshot(r.Context())
	if err != nil {
		problems = append(problems, err.Error())
		shape.Status = inAWord(problems)
	} else {
		shape.Status, problems = s.problems(r.Context(), &status)
	}
	if s.hasToken(r) {
		shape.Version, shape.Problems = s.Version, &problems
	}
	answer(w, http.StatusOK, shape)
	return nil
}

type statusShape struct {
	Status         string            `json:"status"`
	Version        string            `json:"version"`
	Enabled        bool              `json:"enabled"`
	AutoBlock      bool              `json:"autoBlock"`
	DryRun         bool              `json:"dryRun"`
	StartedAt      moment            `json:"startedAt"`
	UptimeSeconds  float64           `json:"uptimeSeconds"`
	BlacklistCount int               `json:"blacklistCount"`
	WhitelistCount int               `json:"whitelistCount"`
	RuleCount      int               `json:"ruleCount"`
	SourceCount    int               `json:"sourceCount"`
	ActionCount    int               `json:"actionCount"`
	QueueDepth     int               `json:"queueDepth"`
	Reload         reloadShape       `json:"reload"`
	State          stateShape        `json:"state"`
	Problems       list[string]      `json:"problems"`
	Actions        list[actionShape] `json:"actions"`
}

type reloadShape struct {
	At    moment `json:"at"`
	Error string `json:"error"`
}

type stateShape struct {
	Error string `json:"error"`
}

type actionShape struct {
	Name      string         `json:"name"`
	Synced    bool           `json:"synced"`
	Waiting   int            `json:"waiting"`
	LastApply applyShape     `json:"lastApply"`
	Drifts    uint64         `json:"drifts"`
	Failures  int            `json:"failures"`
	Lost      uint64         `json:"lost"`
	Error     string         `json:"error"`
	Delivery  *deliveryShape `json:"delivery"`
}

type deliveryShape struct {
	Delivered    uint64 `json:"delivered"`
	Dropped      uint64 `json:"dropped"`
	Failed       uint64 `json:"failed"`
	Waiting      int    `json:"waiting"`
	WaitingSince moment `json:"waitingSince"`
	Error        string `json:"error"`
	Unkept       string `json:"unkept"`
}

func shapeOfAction(a *ActionStatus) actionShape {
	shape := actionShape{
		Name: a.Name, Synced: a.Synced, Waiting: a.Waiting, LastApply: applyShape{moment(a.Applied), a.Took.Seconds(), a.Batch},
		Drifts: a.Drifts, Failures: a.Failures, Lost: a.Lost, Error: a.Err,
	}
	if d := a.Delivery; d != nil {
		shape.Delivery = &deliveryShape{d.Delivered, d.Dropped, d.Failed, d.Waiting, moment(d.Since), d.Err, d.Unkept}
	}
	return shape
}

// showStatus answers GET /security/status.
func (s *Server) showStatus(w http.ResponseWriter, r *http.Request) error {
	st, err := s.snapshot(r.Context())
	if err != nil {
		return err
	}
	shape := statusShape{
		Version: s.Version, Enabled: st.AutoBlock && !st.DryRun, AutoBlock: st.AutoBlock, DryRun: st.DryRun,
		StartedAt: moment(st.Started), UptimeSeconds: time.Since(st.Started).Seconds(),
		BlacklistCount: st.Bans, WhitelistCount: st.Trusted,
		RuleCount: len(st.Rules), SourceCount: len(st.Sources), ActionCount: len(st.Actions), QueueDepth: st.Waiting,
		Reload: reloadShape{moment(st.Reloaded), st.ReloadError}, State: stateShape{st.Unsaved},
	}
	shape.Status, shape.Problems = s.problems(r.Context(), &st)
	for i := range st.Actions {
		shape.Actions = append(shape.Actions, shapeOfAction(&st.Actions[i]))
	}
	answer(w, http.StatusOK, shape)
	return nil
}

type statsShape struct {
	Events         uint64           `json:"events"`
	Matches        uint64           `json:"matches"`
	Firings        uint64           `json:"firings"`
	Bans           uint64           `json:"bans"`
	Unbans         uint64           `json:"unbans"`
	Alerts         uint64           `json:"alerts"`
	Refusals       uint64           `json:"refusals"`
	LostEvents     uint64           `json:"lostEvents"`
	LinesRead      uint64           `json:"linesRead"`
	BytesRead      uint64           `json:"bytesRead"`
	Blacklist      int              `json:"activeBlacklistEntries"`
	Whitelist      int              `json:"activeWhitelistEntries"`
	PacketsDropped *uint64          `json:"packetsDropped"`
	BytesDropped   *uint64          `json:"bytesDropped"`
	LastBanAt      moment           `json:"lastBanAt"`
	Tallies        list[tallyShape] `json:"tallies"`
	Known          knownShape       `json:"known"`
	Corroborated   believedShape    `json:"corroborated"`
}

type knownShape struct {
	Registrations int    `json:"registrations"`
	Evicted       uint64 `json:"evicted"`
	Refused       uint64 `json:"gatewaysRefused"`
}

type believedShape struct {
	Confirmed uint64 `json:"confirmed"`
	Forged    uint64 `json:"forged"`
	Unheard   uint64 `json:"unheard"`
}

type tallyShape struct {
	Rule      string `json:"rule"`
	Source    string `json:"source"`
	Bans      uint64 `json:"bans"`
	Unbans    uint64 `json:"unbans"`
	Alerts    uint64 `json:"alerts"`
	Refusals  uint64 `json:"refusals"`
	LastBanAt moment `json:"lastBanAt"`
}

// showStats answers GET /security/stats.
func (s *Server) showStats(w http.ResponseWriter, r *http.Request) error {
	st, err := s.snapshot(r.Context())
	if err != nil {
		return err
	}
	shape := statsShape{
		Events: st.Events, Blacklist: st.Bans, Whitelist: st.Trusted,
		Known: knownShape(st.Known), Corroborated: believedShape(st.Corroborated),
	}
	if standing, err := s.standing(r.Context(), recently); err == nil && !standing.unread && !st.DryRun {
		shape.PacketsDropped, shape.BytesDropped = &standing.packets, &standing.bytes
	}
	for _, rule := range st.Rules {
		shape.Matches += rule.Matches
		shape.Firings += rule.Firings
	}
	for _, source := range st.Sources {
		shape.LostEvents += source.Lost
		shape.LinesRead += source.Lines
		shape.BytesRead += source.Bytes
	}
	var last time.Time
	for _, t := range st.Tallies {
		shape.Bans += t.Bans
		shape.Unbans += t.Unbans
		shape.Alerts += t.Alerts
		shape.Refusals += t.Refusals
		if t.LastBan.After(last) {
			last = t.LastBan
		}
		shape.Tallies = append(shape.Tallies, tallyShape{t.Rule, t.Source, t.Bans, t.Unbans, t.Alerts, t.Refusals, moment(t.LastBan)})
	}
	shape.LastBanAt = moment(last)
	answer(w, http.StatusOK, shape)
	return nil
}

type ruleShape struct {
	Name      string       `json:"name"`
	Where     string       `json:"where"`
	On        list[string] `json:"on"`
	Matches   uint64       `json:"matches"`
	Firings   uint64       `json:"firings"`
	Tracked   int          `json:"tracked"`
	Evicted   uint64       `json:"evicted"`
	Expired   uint64       `json:"expired"`
	Errors    uint64       `json:"errors"`
	LastError string       `json:"lastError"`
	Bans      uint64       `json:"bans"`
	Alerts    uint64       `json:"alerts"`
	Refusals  uint64       `json:"refusals"`
}

// showRules answers GET /security/rules.
func (s *Server) showRules(w http.ResponseWriter, r *http.Request) error {
	st, err := s.snapshot(r.Context())
	if err != nil {
		return err
	}
	var rules list[ruleShape]
	for _, rule := range st.Rules {
		shape := ruleShape{
			Name: rule.Name, Where: rule.Where, On: rule.On, Matches: rule.Matches, Firings: rule.Firings,
			Tracked: rule.Tracked, Evicted: rule.Evicted, Expired: rule.Expired, Errors: rule.Errors, LastError: rule.LastError,
		}
		for _, t := range st.Tallies {
			if t.Rule == rule.Name {
				shape.Bans += t.Bans
				shape.Alerts += t.Alerts
				shape.Refusals += t.Refusals
			}
		}
		rules = append(rules, shape)
	}
	answer(w, http.StatusOK, struct {
		Rules list[ruleShape] `json:"rules"`
	}{rules})
	return nil
}

type sourceShape struct {
	Name        string  `json:"name"`
	Running     bool    `json:"running"`
	Events      uint64  `json:"events"`
	Lost        uint64  `json:"lost"`
	Lines       uint64  `json:"lines"`
	Bytes       uint64  `json:"bytes"`
	Skipped     uint64  `json:"skipped"`
	Doubted     uint64  `json:"doubted"`
	Connects    uint64  `json:"connects"`
	Restarts    uint64  `json:"restarts"`
	BehindBytes int64   `json:"behindBytes"`
	LagSeconds  float64 `json:"lagSeconds"`
	LastEventAt moment  `json:"lastEventAt"`
	Fault       string  `json:"fault"`
	Warning     string  `json:"warning"`
}

// showSources answers GET /security/sources.
func (s *Server) showSources(w http.ResponseWriter, r *http.Request) error {
	st, err := s.snapshot(r.Context())
	if err != nil {
		return err
	}
	var sources list[sourceShape]
	for _, f := range st.Sources {
		sources = append(sources, sourceShape{
			f.Name, f.Running, f.Events, f.Lost, f.Lines, f.Bytes, f.Skipped, f.Doubted, f.Connects, f.Restarts,
			f.Behind, f.Lag.Seconds(), moment(f.LastEvent), f.Fault, f.Warning,
		})
	}
	answer(w, http.StatusOK, struct {
		Sources list[sourceShape] `json:"sources"`
	}{sources})
	return nil
}
