// Package libopenapi takes the place of the module of that name, of which a quarter of building the Pulumi CLI would be.
// `pulumi cloud` alone needs it, to describe the API of Pulumi Cloud, which a sandbox does not reach. Here are the types
// that the CLI names; there is no document to read.
package libopenapi

import (
	"errors"

	"github.com/pb33f/libopenapi/datamodel/high/v3"
)

type Document struct{}

type Model struct{ Model v3.Document }

func NewDocument([]byte) (*Document, error) {
	return nil, errors.New("the sandbox's Pulumi is built without what `pulumi cloud` needs")
}

func (*Document) BuildV3Model() (*Model, error) { return nil, errors.ErrUnsupported }
