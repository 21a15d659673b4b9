package gui

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// login lets a browser on another machine in, which can't put a token into a header by
// itself. It shows the token once, at /?token=TOKEN, and a cookie from then on, which is
// good for this page alone: browsers show cookies to all ports of a machine, and the token
// opens everything.
type login struct {
	token        string // nobody gets in by it when empty
	name, cookie string
	hint         string // where the token is
}

func newLogin(token string) login {
	of := func(what string) string {
		sum := sha256.Sum256([]byte("rbee-gui " + what + "\x00" + token))
		return hex.EncodeToString(sum[:16])
	}
	// Two pages with tokens of their own on one machine have cookies of their own.
	return login{token: token, name: "rbee_gui_" + of("name")[:8], cookie: of("cookie")}
}

// header puts the token where h, which checks it, looks for it.
func (l login) header(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			if c, err := r.Cookie(l.name); err == nil && l.token != "" && same(c.Value, l.cookie) {
				r.Header.Set("Authorization", "Bearer "+l.token)
			} else if token := tokenIn(r); token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
		}
		h.ServeHTTP(w, r)
	})
}

// remember is for who was let in: a token in the address becomes a cookie.
func (l login) remember(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := tokenIn(r)
		if token == "" {
			h.ServeHTTP(w, r)
			return
		}
		if l.token != "" && same(token, l.token) {
			http.SetCookie(w, &http.Cookie{
				Name: l.name, Value: l.cookie, Path: "/", HttpOnly: true, Secure: r.TLS != nil,
				// Lax has links to the page work. What changes something asks for more; see Handler.
				SameSite: http.SameSiteLaxMode,
			})
		}
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "/", http.StatusSeeOther) // so that it stays in no address bar
	})
}

// ask asks a browser for the token, which may be the wrong one; programs get the problem.
func (l login) ask(w http.ResponseWriter, r *http.Request, err error) {
	browses := (r.Method == http.MethodGet || r.Method == http.MethodHead || r.URL.Path == loginPath) && strings.Contains(r.Header.Get("Accept"), "text/html")
	var p *httpd.Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnauthorized || !browses {
		httpd.WriteProblem(w, err)
		return
	}
	h := w.Header()
	confine(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("Referrer-Policy", "same-origin") // or the browser would not say that the form is ours
	w.WriteHeader(p.Status)
	wrong := ""
	if tokenIn(r) != "" {
		wrong = `<p role="alert"><strong>That is not the token.</strong></p>`
	}
	_, _ = fmt.Fprintf(w, loginPage, wrong, html.EscapeString(cmp.Or(l.hint, "this server was started without a token"))) // the client may be gone
}

// loginPage has no style: what the policy takes is behind the token.
const loginPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Log in – rbee</title>
<main>
<h1>rbee-gui</h1>
%s
<form action="/login" method="post">
<p><label for="token">Token</label>
<input id="token" name="token" type="password" required autofocus autocomplete="current-password">
<button>Log in</button></p>
</form>
<p>This page starts and stops programs. From another machine it wants a token; %s.</p>
</main>
</html>
`

// loginPath takes the form of the page that asks.
const loginPath = "/login"

// tokenIn is the token in a link to the page, or in the form.
func tokenIn(r *http.Request) string {
	switch {
	case r.URL.Path == "/" && r.Method == http.MethodGet:
		return r.URL.Query().Get("token")
	case r.URL.Path == loginPath && r.Method == http.MethodPost:
		r.Body = http.MaxBytesReader(nil, r.Body, 4<<10)
		return r.PostFormValue("token")
	default:
		return ""
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
