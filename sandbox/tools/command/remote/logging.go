package remote

import "github.com/pulumi/pulumi-go-provider/infer"

// Logging says which streams of a command are shown while it runs; none given: both.
type Logging string

const (
	logStdout Logging = "stdout"
	logStderr Logging = "stderr"
	logBoth   Logging = "stdoutAndStderr"
	logNone   Logging = "none"
)

// Values are the ones the library accepts.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: "stdout", Value: logStdout},
		{Name: "stderr", Value: logStderr},
		{Name: "stdoutAndStderr", Value: logBoth},
		{Name: "none", Value: logNone},
	}
}

func (l *Logging) showsStdout() bool {
	return l == nil || *l == logBoth || *l == logStdout
}

func (l *Logging) showsStderr() bool {
	return l == nil || *l == logBoth || *l == logStderr
}
