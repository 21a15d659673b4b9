package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// page gives the page, and fails the test unless a browser may show it and nothing else.
func (a api) page() string {
	a.t.Helper()
	r := a.from(here, "GET", "/", "")
	text := string(r.body)
	if kind := r.header.Get("Content-Type"); r.status != http.StatusOK || kind != "text/html; charset=utf-8" {
		a.t.Fatalf("it is %d %s: %s", r.status, kind, text)
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(text)
	if style == nil {
		a.t.Fatalf("it has no style: %s", text)
	}
	hash := sha256.Sum256([]byte(style[1]))
	policy := r.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"} {
		if !strings.Contains(policy, want) {
			a.t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if from := regexp.MustCompile(`(?i)<(script|link|img|iframe|object|base|form)|\s(src|style|on\w+)=["']|@import|url\(`).FindString(text); from != "" {
		a.t.Errorf("it has %q in it", from)
	}
	return text
}

// rows are the page's rows without markup, their cells apart by "|".
func rows(page string) (list []string) {
	for _, tr := range regexp.MustCompile(`(?s)<tr class.*?</tr>`).FindAllString(page, -1) {
		text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(strings.ReplaceAll(tr, "</td>", "|"), "")
		list = append(list, strings.ReplaceAll(text, "\n", ""))
	}
	return list
}

func TestThePageShowsWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		if page := a.page(); !strings.Contains(page, "Nobody is registered") {
			t.Errorf("of nobody it says %s", page)
		}
		for _, body := range []string{
			`{"worker_id":"a","instance_id":"i","hostname":"box","port":8080,"worker_type":"llm","model":"tiny"}`,
			`{"worker_id":"b","hostname":"::1","port":8081}`,
			`{"hive_id":"box","hostname":"box","port":7835}`,
		} {
			a.want(200, a.post("register", body))
		}
		for range 5 { // all but one go on for 75 s
			time.Sleep(15 * time.Second)
			a.want(200, a.post("heartbeat", `{"components":[{"worker_id":"b"},{"hive_id":"box"}]}`))
		}
		synctest.Wait()
		page := a.page()
		want := []string{
			"offline|worker|a|box:8080|tiny|llm|1 min ago|1 min ago|i|",
			"online|hive|box|box:7835|||1 min ago|0 s ago||",
			"online|worker|b|[::1]:8081|||1 min ago|0 s ago||",
		}
		if got := rows(page); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("it shows\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		all := a.want(200, a.get("components"))
		for _, part := range []string{
			"<title>rbee-registry: 2 online, 1 offline</title>", `<meta http-equiv="refresh" content="5">`,
			`<tr class="offline">`, `href="http://box:8080"`, `href="http://[::1]:8081"`, "<dd>1 min</dd>",
			all["epoch"].(string), fmt.Sprintf("<dd>%v</dd>", all["revision"]),
			`href="/openapi.json"`, `href="/metrics"`, `href="/v1/registry/components"`,
		} {
			if !strings.Contains(page, part) {
				t.Errorf("it lacks %s", part)
			}
		}
	})
}

// Whatever a component calls itself, on the page it is text.
func TestThePageTakesNobodysOrders(t *testing.T) {
	t.Parallel()
	a := newAPI(t, server.Config{})
	const script = `"'><script>alert(1)</script>`
	for i, host := range []string{
		"javascript:alert(1)//", "javascript:alert(1)", "good.example/../..", "user:pass@evil.example", `h" onmouseover="alert(1)`, "a b", script, "%00", "h?x#y", "h",
	} {
		said := map[string]any{
			"worker_id": fmt.Sprint(script, i), "hostname": host, "port": 1, "model": script, "worker_type": script, "instance_id": script,
		}
		body, err := json.Marshal(said)
		if err != nil {
			t.Fatal(err)
		}
		status := 422
		if host == "h" {
			status = 200
		}
		a.want(status, a.post("register", string(body)))
	}
	page := a.page()
	if got := strings.Count(page, "&lt;script&gt;alert(1)&lt;/script&gt;"); got != 4 {
		t.Errorf("the script is there %d times", got)
	}
	for _, link := range regexp.MustCompile(`<a href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if link[1] != "http://h:1" && !strings.HasPrefix(link[1], "/") {
			t.Errorf("it leads to %s", link[1])
		}
	}
}

func TestThePageHasAnEnd(t *testing.T) {
	t.Parallel()
	a := newAPI(t, server.Config{})
	var forms []string
	for i := range 1200 {
		forms = append(forms, fmt.Sprintf(`{"worker_id":"w%04d","hostname":"h","port":1}`, i))
	}
	a.want(200, a.post("register", `{"components":[`+strings.Join(forms, ",")+`]}`))
	page := a.page()
	if got := len(rows(page)); got != 500 || !strings.Contains(page, ">700 more are not shown") || !strings.Contains(page, "<strong>1200</strong>") {
		t.Errorf("it has %d rows", got)
	}
}

func TestThereIsOnePage(t *testing.T) {
	t.Parallel()
	a := newAPI(t, server.Config{})
	for _, path := range []string{"/index.html", "/v1", "/v1/registry/", "/favicon.ico"} {
		if p := a.want(404, a.from(here, "GET", path, "")); p["code"] != "unknown_path" {
			t.Errorf("%s: %v", path, p)
		}
	}
	a.want(405, a.from(here, "POST", "/", ""))
}
