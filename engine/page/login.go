package page

import (
	"net/http"
	"path"
	"strings"
)

// A loginForm is the page that asks for a token.
type loginForm struct {
	Next  string // where to go on
	Wrong string // why the last token was not accepted; "": there was none
}

// login answers GET /login.
func (p *Page) login(w http.ResponseWriter, r *http.Request) error {
	return p.ask(w, http.StatusOK, loginForm{Next: next(r.URL.Query().Get("next"))})
}

func (p *Page) ask(w http.ResponseWriter, code int, f loginForm) error {
	text, err := p.render("login.html", "Log in", Caller{}, false, f)
	if err == nil {
		send(w, code, text)
	}
	return err
}

// enter answers POST /login: a right token becomes a cookie.
func (p *Page) enter(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	to := next(r.PostForm.Get("next"))
	cookie, err := p.guard.Login(r, r.PostForm.Get("token"))
	if err != nil {
		code := http.StatusUnauthorized
		if f, ok := err.(Fault); ok {
			code = f.Status()
		}
		return p.ask(w, code, loginForm{Next: to, Wrong: err.Error()})
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// leave answers POST /logout.
func (p *Page) leave(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	http.SetCookie(w, p.guard.Logout(r))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// next returns a path of ours, whatever was asked for. A browser takes a backslash for a slash, and net/http
// resolves dots: "/ban/../\example.com" would lead to another host.
func next(to string) string {
	file, _, _ := strings.Cut(to, "?")
	if file == "/" || strings.HasPrefix(file, "/ban/") && path.Clean(file) == file && !strings.Contains(file, `\`) {
		return to
	}
	return "/"
}
