// Package s3 takes the place of AWS's: without/README.md.
package s3

type CopyObjectInput struct{ CopySource *string }
