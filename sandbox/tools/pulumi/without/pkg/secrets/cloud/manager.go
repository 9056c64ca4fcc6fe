// Package cloud has no secrets provider.
package cloud

import (
	"encoding/json"
	"errors"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

const Type = "cloud"

var errWithout = errors.New("the sandbox's Pulumi is built without the SDKs of clouds")

func EditProjectStack(*workspace.ProjectStack, json.RawMessage) error { return errWithout }

func NewCloudSecretsManagerFromState(json.RawMessage) (secrets.Manager, error) {
	return nil, errWithout
}

func NewCloudSecretsManager(*workspace.ProjectStack, string, bool) (secrets.Manager, error) {
	return nil, errWithout
}
