# shellcheck shell=bash
# Archives of container images, which RKE2 imports from its folder: fetched, held to their checksums, put there, taken
# away. Needs stage.sh and download.sh.
imported=$root/var/lib/rancher/rke2/agent/images
# By name of each archive that is ours, the checksum it was put there with; and what is being fetched.
archives=$root/var/lib/mig-k8s/image-archives

# fetch_archives [URL#SHA256]…: these and no others of ours. `fetched_archives` is how many have come.
fetch_archives() {
  local each url name seen wanted=" "
  fetched_archives=0
  mkdir -p "$archives"
  for each in "$@"; do
    url=${each%%#*}
    name=${url##*/}
    wanted+="$name "
    [[ -f $imported/$name && -f $archives/$name.sha256 && $(<"$archives/$name.sha256") == "${each##*#}" ]] && continue
    progress "downloading $name"
    download "$url" "$archives/$name" "${each##*#}" ||
      fail "cannot download $url: $trouble. Is the address right, can the machine reach it, and is there room on the disk? The next run tries again."
    seen=$(sha256sum "$archives/$name")
    [[ ${seen%% *} == "${each##*#}" ]] ||
      fail "$url has checksum ${seen%% *}, and sources.imageArchives says ${each##*#}: it is damaged, or another file" \
        "by now. RKE2 does not get it"
    sync "$archives/$name"
    mkdir -p "$imported"
    # RKE2 imports what lies there, also while it runs, so a file comes whole. It imports all of them at each start,
    # minutes for large ones, unless this file is there, in which it notes what it has imported.
    [[ -e $imported/.cache.json ]] || : >"$imported/.cache.json"
    rm -f "$archives/$name.sha256"
    mv -fT "$archives/$name" "$imported/$name"
    write_file "$archives/$name.sha256" 0644 <<<"${each##*#}"
    fetched_archives=$((fetched_archives + 1))
  done
  for each in "$archives"/*.sha256; do
    name=${each##*/}
    name=${name%.sha256}
    [[ -f $each && $wanted != *" $name "* ]] || continue
    rm -f "$imported/$name" "$each"
  done
  find "$archives" -type f ! -name '*.sha256' -delete # half fetched
}
