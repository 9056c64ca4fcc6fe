package remote

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/retry"
	"golang.org/x/crypto/ssh"
)

// dial gives a logged-in client. Whatever the reason of a failure, it is tried again until there are more failures
// than dialErrorLimit (negative: no limit) or ctx ends, which only waiting between two dials looks at.
func (c *Connection) dial(ctx context.Context) (*ssh.Client, error) {
	if c.Proxy != nil {
		return nil, errors.New("the sandbox does not stand in for a connection with a proxy")
	}
	config, err := c.clientConfig()
	if err != nil {
		return nil, err
	}
	limit, shown := *c.DialErrorLimit, "inf"
	if limit >= 0 {
		shown = strconv.Itoa(limit)
	}
	var client *ssh.Client
	connected, _, err := retry.Until(ctx, retry.Acceptor{Accept: func(before int, _ time.Duration) (bool, any, error) {
		var failure error
		if client, failure = ssh.Dial("tcp", c.address(), config); failure == nil {
			return true, nil, nil
		}
		if limit >= 0 && before >= limit {
			return false, nil, fmt.Errorf("after %d failed attempts: %w", before, failure)
		}
		p.GetLogger(ctx).InfoStatusf("Dial %d/%s failed: retrying", before+1, shown)
		return false, nil, nil
	}})
	if err != nil {
		return nil, err
	}
	if !connected {
		return nil, ctx.Err()
	}
	return client, nil
}
