package queen

import (
	"errors"
	"net/http"
	"slices"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// turnedDown is a spawn that a hive has not begun, for a reason that may be its own: another
// one may be asked.
type turnedDown struct {
	cause  error // as it is answered where there is no other
	reason string
}

func (d *turnedDown) Error() string { return d.cause.Error() }

func (d *turnedDown) Unwrap() error { return d.cause }

// judgeRefusal says what came of asking a hive for a spawn. It is a turnedDown where
// nothing has begun for sure: the connection was never made, or the hive says no.
func judgeRefusal(id string, err error, connected bool) error {
	var refused *registry.Refusal
	switch says := errors.As(err, &refused); {
	case !says && !connected:
		return &turnedDown{passOn(id, err), err.Error()}
	case says && anothersToGive(refused):
		return &turnedDown{passOn(id, err), refused.Error()}
	}
	return passOn(id, err)
}

// anothersToGive reports whether another hive might not refuse: it is about the hive, and
// not about what was asked for.
func anothersToGive(refused *registry.Refusal) bool {
	switch refused.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusUnprocessableEntity:
		return refused.Code == hive.CodeNoEngine || refused.Code == hive.CodeNoModel
	}
	return false
}

// together is the answer when no hive is left to ask: last is why. The only one there was
// has the word; of several each is named, and one that may take it later decides the status.
func together(refusals []*turnedDown, last error, offers []offer) error {
	if len(refusals) == 0 {
		return last
	}
	if len(offers) == 1 {
		return refusals[0].cause
	}
	said := func(d *turnedDown) (p *httpd.Problem) { _ = errors.As(d.cause, &p); return p }
	all := httpd.Errorf(http.StatusBadGateway, client.CodeHiveFailed, "%v", last)
	i := slices.IndexFunc(refusals, func(d *turnedDown) bool { p := said(d); return p != nil && p.Status == http.StatusServiceUnavailable })
	if p := said(refusals[max(i, 0)]); p != nil {
		all = httpd.Errorf(p.Status, p.Code, "%v", last)
		all.Field = p.Field
	}
	return all
}
