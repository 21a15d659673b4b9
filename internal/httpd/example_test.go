package httpd_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ln, err := httpd.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	h := httpd.Routes(slog.New(slog.DiscardHandler), []httpd.Route{
		{Method: "GET", Path: "/health", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			return httpd.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
		}},
	})
	ended := make(chan error)
	go func() { ended <- httpd.Serve(ctx, ln, h, httpd.ServeOptions{}) }()

	resp, err := http.Get("http://" + ln.Addr().String() + "/health")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(string(body))

	stop()
	fmt.Println(<-ended)
	// Output:
	// {"status":"ok"}
	// <nil>
}
