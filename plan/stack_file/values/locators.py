"""Where things come from: URLs, container images, charts, paths. All of them may reach a shell or a package manager."""

import re

from plan.problems import Refusal

_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~%@+/-]*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"{_PART}(?::\d+)?(?:/{_PART})*(?::(?P<tag>[A-Za-z0-9_][\w.-]{{0,127}}))?(?P<digest>@sha256:[0-9a-f]{{64}})?"
)


def url(text: str) -> str:
    """An http(s) URL without query, credentials or anything a shell would act on."""
    if re.match(r"https?://[^/]*@", text):
        raise Refusal("holds credentials, in clear", allowed="a URL without user and password", hide=True)
    if not _URL.fullmatch(text):
        raise Refusal("not a plain URL", allowed="http(s)://host[:port]/path of letters, digits and . _ ~ % @ + / -")
    return text.rstrip("/")


def signed_repository(text: str) -> str:
    """A URL, optionally followed by `#` and the fingerprint of the key that signs the repository."""
    address, mark, fingerprint = text.partition("#")
    if mark and not re.fullmatch(r"[0-9A-F]{40}", fingerprint):
        raise Refusal(
            "the part after # is not a key fingerprint", allowed="40 of 0-9 and A-F, as gpg --show-keys prints"
        )
    return url(address) + mark + fingerprint


def image_archive(text: str) -> str:
    """A URL of container images in one file, followed by `#` and its SHA-256."""
    address, _, checksum = text.partition("#")
    address = url(address)
    if not _SHA256.fullmatch(checksum):
        raise Refusal(
            "no checksum after #: containerd runs whatever an archive brings",
            allowed="URL#SHA256, its 64 hexadecimal digits as sha256sum prints them",
        )
    if not re.search(r"/[A-Za-z0-9][A-Za-z0-9._-]*\.(tar|tar\.gz|tgz|tar\.zst|tzst|tar\.bz2|tbz|tar\.lz4)$", address):
        raise Refusal(
            "not a kind of archive that RKE2 imports", allowed="NAME.tar, .tar.gz, .tar.zst, .tar.bz2 or .tar.lz4"
        )
    return f"{address}#{checksum}"


def names_once(archives: tuple[str, ...]) -> tuple[str, ...]:
    """A list of archives with each file name once, because they lie in one folder of the machine."""
    names = [archive.partition("#")[0].rpartition("/")[2] for archive in archives]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refusal(f"{', '.join(twice)}: more than once, and all lie in one folder", allowed="each file name once")
    return archives


def chart(text: str) -> str:
    """A Helm repository's https URL, an oci:// reference or a path to a chart."""
    if text.startswith("oci://"):
        url("https://" + text.removeprefix("oci://"))
        return text.rstrip("/")
    if "://" in text:
        address = url(text)
        if address.startswith("http://"):
            raise Refusal(
                "plain http: anybody on the way could send another chart, and a chart may do anything in the cluster",
                allowed="https://…, oci://… or a path to a chart",
                remedy="Where the repository has no https, download the chart, check it, and write its path.",
            )
        return address
    if not re.fullmatch(r"[A-Za-z0-9._~/+-]+", text):
        raise Refusal("neither a chart repository, an oci:// reference nor a path to a chart")
    return text


def container_image(text: str) -> str:
    """A container image pinned by tag or digest."""
    match = _IMAGE.fullmatch(text)
    if match is None:
        raise Refusal("not a container image", allowed="registry/repository:tag, or …@sha256:…")
    if not match["digest"] and match["tag"] in {None, "latest"}:
        raise Refusal("not pinned: a missing tag or latest changes by itself", allowed="a tag or @sha256:…")
    return text


def socket_path(text: str) -> str:
    """The path of an SSH agent's socket."""
    if not text.startswith("/") or re.search(r"[\x00-\x1f]", text):
        raise Refusal("not an absolute path", remedy="Paste what this prints: echo $SSH_AUTH_SOCK")
    return text


def sha256(text: str) -> str:
    """A SHA-256 in hex."""
    if not _SHA256.fullmatch(text):
        raise Refusal("not a SHA-256", allowed="64 of 0-9 and a-f", remedy="sha256sum rke2.linux-amd64.tar.gz")
    return text


def plain_text(text: str) -> str:
    """Text of one line."""
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise Refusal("holds a line break or another control character", allowed="text of one line")
    return text
