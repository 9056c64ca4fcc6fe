// Package s3blob registers no driver.
package s3blob
