package remote

import (
	"context"
	"fmt"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"golang.org/x/crypto/ssh"
)

// run runs `script` in the login shell of the machine and sets the output. Once connected, nothing ends it but the
// command, the connection or this process.
func (s *State) run(ctx context.Context, script string) error {
	client, err := s.Connection.dial(ctx)
	if err != nil {
		return err
	}
	// The client is not closed: the real provider's connections last as long as its process.
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	if err := s.setEnvironment(ctx, session); err != nil {
		return err
	}
	if s.Stdin != nil && *s.Stdin != "" {
		session.Stdin = strings.NewReader(*s.Stdin)
	}
	capture := newCapture(ctx)
	session.Stdout = capture.writer(&capture.stdout, s.Logging.showsStdout())
	session.Stderr = capture.writer(&capture.stderr, s.Logging.showsStderr())
	err = session.Run(script)
	tooLong := capture.end()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, script, capture.both.String())
	}
	if tooLong != nil {
		return tooLong
	}
	s.Stdout = strings.TrimSuffix(capture.stdout.String(), "\n")
	s.Stderr = strings.TrimSuffix(capture.stderr.String(), "\n")
	return nil
}

// setEnvironment fails where sshd refuses a variable of the program; the previous output is only missed.
func (s *State) setEnvironment(ctx context.Context, session *ssh.Session) error {
	for name, value := range s.Environment {
		if err := session.Setenv(name, value); err != nil {
			p.GetLogger(ctx).Error(refusedVariable(name))
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	if s.AddPreviousOutputInEnv != nil && !*s.AddPreviousOutputInEnv {
		return nil
	}
	previous := map[string]string{"PULUMI_COMMAND_STDOUT": s.Stdout, "PULUMI_COMMAND_STDERR": s.Stderr}
	for name, value := range previous {
		if value != "" && session.Setenv(name, value) != nil {
			p.GetLogger(ctx).Warning(refusedVariable(name))
		}
	}
	return nil
}

func refusedVariable(name string) string {
	return fmt.Sprintf("Unable to set '%s': AcceptEnv of the machine's sshd does not name it", name)
}
