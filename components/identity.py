"""What identifies the input of a command: digests that change with it and stand in state for everybody to read."""

import hashlib
import hmac

import pulumi


def digest(text: pulumi.Input[str]) -> pulumi.Output[str]:
    """The SHA-256 of a text that is not secret, as hex; unknown as long as the text is."""
    return pulumi.Output.from_input(text).apply(lambda known: hashlib.sha256(known.encode()).hexdigest())


def keyed_digest(secret: pulumi.Input[str], *, key: pulumi.Input[str]) -> pulumi.Output[str]:
    """The HMAC-SHA256 of a secret under a key that is another secret of the stack, as hex; it is not secret."""
    made = pulumi.Output.all(secret, key).apply(
        lambda known: hmac.new(known[1].encode(), known[0].encode(), hashlib.sha256).hexdigest()
    )
    # Public on purpose, and here alone. As a secret it could not be a trigger: a secret that is unknown is lost inside
    # a list. A plain digest would let whoever reads the state try tokens against it; without the key nobody can.
    return pulumi.Output.unsecret(made)
