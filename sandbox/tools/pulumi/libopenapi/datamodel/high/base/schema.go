// Package base has the form of a schema.
package base

import (
	"errors"

	"github.com/pb33f/libopenapi/orderedmap"
	"go.yaml.in/yaml/v4"
)

type Schema struct {
	Type, Required               []string
	Description, Format, Pattern string
	Enum                         []*yaml.Node
	Default                      *yaml.Node
	Nullable, ReadOnly           *bool
	MaxLength, MinLength         *int64
	Maximum, Minimum, MultipleOf *float64
	AllOf, AnyOf, OneOf          []*SchemaProxy
	Items, AdditionalProperties  *DynamicValue
	Properties                   *orderedmap.Map[string, *SchemaProxy]
	Discriminator                *Discriminator
	Extensions                   *orderedmap.Map[string, *yaml.Node]
}

type low struct{}

func (*low) Hash() uint64 { return 0 }

func (*Schema) GoLow() *low { return nil }

func (*Schema) MarshalJSONInline() ([]byte, error) { return nil, errors.ErrUnsupported }

type SchemaProxy struct{}

func (*SchemaProxy) Schema() *Schema { return nil }

type DynamicValue struct{ A *SchemaProxy }

func (*DynamicValue) IsA() bool { return false }

type Discriminator struct {
	PropertyName string
	Mapping      *orderedmap.Map[string, string]
}
