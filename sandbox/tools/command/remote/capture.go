package remote

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
)

// capture keeps what a command writes, each stream and both in the order they came, and shows lines as they come.
type capture struct {
	lock                 sync.Mutex
	stdout, stderr, both bytes.Buffer

	shown *io.PipeWriter
	ended chan error
}

func newCapture(ctx context.Context) *capture {
	lines, shown := io.Pipe()
	c := &capture{shown: shown, ended: make(chan error, 1)}
	go func() { c.ended <- show(ctx, lines) }()
	return c
}

// writer is where a stream goes: into `own`, into both and, if `logged`, to the display.
func (c *capture) writer(own *bytes.Buffer, logged bool) io.Writer {
	kept := writerFunc(func(data []byte) (int, error) {
		c.lock.Lock()
		defer c.lock.Unlock()
		c.both.Write(data)
		return own.Write(data)
	})
	if !logged {
		return kept
	}
	return io.MultiWriter(kept, c.shown)
}

// end waits until everything has been shown. It gives an error where the real provider would not come to an end.
func (c *capture) end() error {
	c.shown.Close()
	return <-c.ended
}

// show reads to the end whatever comes: a writer that waits for its reader would never end.
func show(ctx context.Context, lines io.Reader) error {
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		p.GetLogger(ctx).InfoStatus(scanner.Text())
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		return err
	}
	if scanner.Err() != nil {
		return fmt.Errorf(
			"a line of %d bytes or more on a stream that is logged, where the real provider hangs for ever: "+
				"log the other stream or none (logging)", bufio.MaxScanTokenSize,
		)
	}
	return nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(data []byte) (int, error) { return f(data) }
