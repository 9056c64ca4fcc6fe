"""A record in the state of what a resource was made with, for as long as the resource exists."""

from collections.abc import Mapping
from typing import Any, TypeVar

import pulumi

from plan import refusal

_Value = TypeVar("_Value")


class Memory:
    """The value that `kept` had when `made` was made, or made anew by another `rebuild`.

    It is known in previews too, while nothing else is known of what is to change. It comes after `made`: a machine that
    could not be made has nothing to keep. `seen` is what the thing itself tells, also where an older version made it.
    """

    def __init__(  # noqa: PLR0913 - each is one fact about it
        self,
        name: str,
        kept: Mapping[str, str],
        *,
        who: str,
        made: pulumi.Resource,
        parent: pulumi.Resource,
        rebuild: str = "",
        seen: Mapping[str, pulumi.Output[str]] | None = None,
    ) -> None:
        stash = pulumi.Stash(
            f"{name}-kept",
            input=dict(kept),
            # Ignored as long as it is not replaced: a run that is refused changes nothing here either.
            opts=pulumi.ResourceOptions(
                parent=parent, depends_on=[made], replacement_trigger=rebuild, ignore_changes=["input"]
            ),
        )
        self._who, self._kept = who, kept
        self._remembered = pulumi.Output.all(stash.output, dict(seen or {}))

    def checked(self, value: pulumi.Output[_Value]) -> pulumi.Output[_Value]:
        """The value; raises RunError where the plan says anything else than what is remembered."""

        def check(known: list[Any]) -> Any:  # noqa: ANN401 - whatever the value is
            (remembered, seen), wanted = known
            if problems := refusal(self._who, {**remembered, **seen}, self._kept):
                raise pulumi.RunError(str(problems))
            return wanted

        return pulumi.Output.all(self._remembered, value).apply(check)
