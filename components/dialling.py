"""How long a machine is dialled before the reason is told why it does not answer."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialling:
    """The provider dials `limit` + 1 times and says `after <limit> failed attempts:` with the last reason.

    Between two dials it waits 0.1 s, each time half as long again, never more than 5 s: 11.3 s for the first ten waits,
    5 s for each one more. `seconds_per_dial` bounds only the TCP connect, so two kinds of failure last differently:

    - told at once (another host key, a refused login, a refused port): the waits alone;
    - no answer at all (switched off, in its firmware, no rule for this address): `seconds_per_dial` more for each dial.
      Where the machine is on the same Ethernet the kernel says `no route to host` after 3 s instead; Azure's network
      never does.
    """

    limit: int
    seconds_per_dial: int
    minutes: int
    """When the engine ends the dialling with the bare words `context deadline exceeded`; longer than all dials take, so
    that the reason comes first. It never ends a command that runs."""


RUNNING = Dialling(limit=18, seconds_per_dial=60, minutes=25)
"""For a machine that runs or boots: its first boot, after `az vm start`, at any later `up`.

What is told at once ends after 11.3 + 8 * 5 = 51 s, which leaves half a second for each handshake within the minute.
No answer ends after 19 * 60 + 51 = 1191 s, 20 minutes. Eight GPUs keep a machine dark for up to ten minutes: that takes
ten dials, and the other nine have 44 s for sshd to come up. On the same Ethernet it is 19 * 3 + 51 = 108 s and cannot
be more: a wrong key could not be told within the minute.
"""

AWAY = Dialling(limit=1, seconds_per_dial=5, minutes=1)
"""For a machine of which Azure says that it does not run: 10 s until the reason is told."""

REBOOTING = Dialling(limit=150, seconds_per_dial=10, minutes=45)
"""For what follows a command that may have rebooted the machine; that one has told a wrong key or login already.

Login and port are refused until RKE2 and its pods have ended, four minutes at worst (90 s for a unit, 60 s for ours,
90 s for what is left): 56 dials. Then it is dark for up to ten minutes: 40 dials of 15 s, or 75 of 8 s on the same
Ethernet. The last 20 have well over a minute for sshd to come up. What is told at once ends after 11.3 + 140 * 5 =
711 s, no answer after 151 * 10 + 711 = 2221 s, 37 minutes; on the same Ethernet after 151 * 3 + 711 = 1164 s.
"""
