// Package sse reads streams of server-sent events.
//
//	events := sse.NewReader(resp.Body, 4<<20, nil)
//	for {
//		e, err := events.Next()
//		if err != nil {
//			return err // io.EOF where the stream ended; half an event is none
//		}
//		fmt.Println(e.ID, e.Name, string(e.Data))
//	}
//
// It neither asks for a stream nor comes back to one. Package httpd writes them.
package sse
