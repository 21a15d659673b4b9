package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Form is a component as JSON has it: every field of both request shapes, which
// are also the fields of the answers. Tags besides json's are for the document of the API. The long shape names a component by
// component_type and component_id and tells worker_type and model in its
// metadata; the short one has a worker_id or a hive_id, and all on one level.
type Form struct {
	Kind       Kind           `json:"component_type,omitempty" enum:"hive,worker,queen,gui" doc:"What it is. In a request, worker_id or hive_id may say so, too."`
	ID         string         `json:"component_id,omitempty" maxLength:"128" doc:"Its name, stable, unique within its type."`
	WorkerID   *string        `json:"worker_id,omitempty" maxLength:"128" doc:"A worker's component_id."`
	HiveID     *string        `json:"hive_id,omitempty" maxLength:"128" doc:"A hive's component_id; in a worker's registration the hive it belongs to."`
	InstanceID string         `json:"instance_id,omitempty" maxLength:"128" doc:"One life of it, a ULID made at its start. An older life can't speak for a younger one."`
	Hostname   string         `json:"hostname,omitempty" maxLength:"253" doc:"Where others reach it: a name or an address."`
	Port       int            `json:"port,omitempty" minimum:"1" maximum:"65535"`
	WorkerType string         `json:"worker_type,omitempty" maxLength:"128" doc:"Workers: llm, vllm, comfy, ..."`
	Model      *string        `json:"model,omitempty" nullable:"true" maxLength:"1024" doc:"Workers: the model served, if there is one."`
	Metadata   map[string]any `json:"metadata,omitempty" doc:"Whatever else it says of itself, 16 KiB of JSON at most."`
}

// Form says c in the names of both shapes, so that a reader of either finds its
// own.
func (c Component) Form() Form {
	f := Form{
		Kind: c.Kind, ID: c.ID, InstanceID: c.InstanceID,
		Hostname: c.Hostname, Port: c.Port, WorkerType: c.WorkerType, Metadata: c.Metadata,
	}
	switch c.Kind {
	case Worker:
		f.WorkerID = &c.ID
	case Hive:
		f.HiveID = &c.ID
	}
	if c.Model != "" {
		f.Model = &c.Model
	}
	return f
}

// Identity is the component that f names, without what it tells of it: all that
// a heartbeat needs. The error is a *FieldError. A queen or GUI without an id
// is called "queen" or "gui".
func (f Form) Identity() (Component, error) {
	c := Component{Kind: f.Kind, ID: f.ID, InstanceID: f.InstanceID}
	switch {
	case c.Kind != "":
	case said(f.WorkerID) != "":
		c.Kind = Worker
	case said(f.HiveID) != "":
		c.Kind = Hive
	case f.WorkerID != nil:
		return Component{}, badField("worker_id", "is empty")
	case f.HiveID != nil:
		return Component{}, badField("hive_id", "is empty")
	}
	var err error
	switch c.Kind {
	case Worker:
		c.Kind = Worker // not the decoder's copy of the word
		c.ID, err = oneID(f.ID, "worker_id", said(f.WorkerID))
	case Hive:
		c.Kind = Hive
		c.ID, err = oneID(f.ID, "hive_id", said(f.HiveID))
	case Queen, GUI:
		if c.ID == "" {
			c.ID = string(c.Kind)
		}
	case "":
		err = badField("component_type", "is missing, and there is no worker_id or hive_id in its place")
	default:
		err = badField("component_type", "%q is none of hive, worker, queen, gui", c.Kind)
	}
	if err != nil {
		return Component{}, err
	}
	if err := checkName("component_id", c.ID); err != nil {
		return Component{}, err
	}
	return c, checkName("instance_id", c.InstanceID)
}

// said is a field's text, "" for one that is not there.
func said(field *string) string {
	if field == nil {
		return ""
	}
	return *field
}

func oneID(id, shortField, short string) (string, error) {
	switch {
	case id == "" && short == "":
		return "", badField("component_id", "is empty")
	case id == "":
		return short, nil
	case short != "" && short != id:
		return "", badField(shortField, "is %q, but component_id is %q", short, id)
	}
	return id, nil
}

// Component reads either shape; both give the same component. The error is a
// *FieldError. Limits are Validate's matter: a client takes what a registry kept.
func (f Form) Component() (Component, error) {
	c, err := f.Identity()
	if err != nil {
		return Component{}, err
	}
	c.Hostname, c.Port, c.WorkerType = f.Hostname, f.Port, f.WorkerType
	hive := said(f.HiveID)
	if len(f.Metadata) > 0 || hive != "" {
		c.Metadata = make(map[string]any, len(f.Metadata)+1)
		maps.Copy(c.Metadata, f.Metadata)
	}
	if f.Model != nil {
		c.Model = *f.Model
	}
	if c.Kind == Worker {
		if hive != "" {
			c.Metadata["hive_id"] = hive
		}
		if err := lift(c.Metadata, "worker_type", &c.WorkerType); err != nil {
			return Component{}, err
		}
		if err := lift(c.Metadata, "model", &c.Model); err != nil {
			return Component{}, err
		}
	}
	if len(c.Metadata) == 0 {
		c.Metadata = nil
	}
	return c, nil
}

// lift moves a string out of the metadata, unless the field is set already.
func lift(metadata map[string]any, name string, field *string) error {
	value, there := metadata[name]
	if !there {
		return nil
	}
	text, isText := value.(string)
	if !isText && value != nil {
		return badField("metadata."+name, "is no string")
	}
	delete(metadata, name)
	if *field == "" {
		*field = text
	}
	return nil
}

// Validate holds c to the limits. The error is a *FieldError.
func (c Component) Validate() error {
	if c.ID == "" {
		return badField("component_id", "is empty")
	}
	if c.Hostname == "" {
		return badField("hostname", "is empty")
	}
	if c.Port < 1 || c.Port > 65535 {
		return badField("port", "%d is outside 1-65535", c.Port)
	}
	for _, err := range []error{
		checkName("component_id", c.ID),
		checkName("instance_id", c.InstanceID),
		checkLength("hostname", c.Hostname, MaxHostname),
		checkName("worker_type", c.WorkerType),
		checkLength("model", c.Model, MaxModel),
	} {
		if err != nil {
			return err
		}
	}
	if !ValidHost(c.Hostname) {
		return badField("hostname", "%q is neither a host name nor an address", c.Hostname)
	}
	if len(c.Metadata) == 0 {
		return nil
	}
	metadata, err := json.Marshal(c.Metadata)
	if err != nil {
		return badField("metadata", "is no JSON: %v", err)
	}
	if len(metadata) > MaxMetadata {
		return badField("metadata", "is %d bytes of JSON, at most %d are kept", len(metadata), MaxMetadata)
	}
	return nil
}

// checkName holds an id or a type to what people can read and type.
func checkName(field, value string) error {
	if HasControl(value) {
		return badField(field, "%q has a control character in it", value)
	}
	return checkLength(field, value, MaxID)
}

func checkLength(field, value string, limit int) error {
	if len(value) > limit {
		return badField(field, "is %d bytes long, at most %d are taken", len(value), limit)
	}
	return nil
}

// EntryForm is an Entry as JSON has it.
type EntryForm struct {
	Form
	Status       Status    `json:"status" enum:"online,offline"`
	RegisteredAt time.Time `json:"registered_at" doc:"By the registry's wall clock."`
	LastSeen     time.Time `json:"last_seen" doc:"When the last sign of life came. It moves without a new revision."`
}

func (e Entry) form() EntryForm {
	return EntryForm{e.Component.Form(), e.Status, e.RegisteredAt.UTC(), e.LastSeen.UTC()}
}

func (f EntryForm) entry() (Entry, error) {
	c, err := f.Component()
	if err != nil {
		return Entry{}, fmt.Errorf("read a registry entry: %w", err)
	}
	return Entry{c, f.Status, f.RegisteredAt, f.LastSeen}, nil
}

// MarshalJSON writes times as RFC 3339 in UTC.
func (e Entry) MarshalJSON() ([]byte, error) { return json.Marshal(e.form()) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Entry) UnmarshalJSON(text []byte) error {
	var f EntryForm
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	var err error
	*e, err = f.entry()
	return err
}

// Receipt is the answer to a registration: on the wire the entry's fields, and
// heartbeat_seconds, revision and note beside them.
type Receipt struct {
	Entry    Entry
	Beat     time.Duration // the longest time to leave between heartbeats
	Revision uint64        // the registry's, after the registration
	Note     string        // what the registry changed in it, "" for nothing
}

// ReceiptForm is a Receipt as JSON has it.
type ReceiptForm struct {
	EntryForm
	HeartbeatSeconds float64 `json:"heartbeat_seconds" doc:"The longest time to leave between heartbeats."`
	Revision         uint64  `json:"revision" doc:"The registry's, after the registration."`
	Note             string  `json:"note,omitempty" doc:"What the registry changed in it, if anything."`
}

// MarshalJSON writes all on one level.
func (r Receipt) MarshalJSON() ([]byte, error) {
	return json.Marshal(ReceiptForm{r.Entry.form(), r.Beat.Seconds(), r.Revision, r.Note})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Receipt) UnmarshalJSON(text []byte) error {
	var f ReceiptForm
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	e, err := f.entry()
	if err != nil {
		return err
	}
	beat := time.Duration(f.HeartbeatSeconds * float64(time.Second))
	*r = Receipt{Entry: e, Beat: beat, Revision: f.Revision, Note: f.Note}
	return nil
}

// Acknowledgement is the answer to one heartbeat or unregistration.
type Acknowledgement struct {
	Revision uint64 `json:"revision"`
}
