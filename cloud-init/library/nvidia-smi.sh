# shellcheck shell=bash
# What nvidia-smi says of the driver and of the fabric between GPUs.

# driver_says: the driver version of each GPU, a line each; or what nvidia-smi said instead, and a status.
driver_says() {
  local said line
  said=$(timeout -k 5 120 nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>&1) || true
  [[ -n $said ]] || { echo "nvidia-smi said nothing within 120 s"; return 1; }
  while read -r line; do
    [[ $line =~ ^[0-9]+(\.[0-9]+)+$ ]] || { printf '%s\n' "${said//$'\n'/ }"; return 1; }
  done <<<"$said"
  sort -u <<<"$said"
}

# fabric_says: state and status of the fabric, such as "Completed Success", a line for each that some GPU shows.
fabric_says() {
  timeout -k 5 120 nvidia-smi -q 2>/dev/null | awk -F ' *: *' '
    /^    [^ ]/ { section = $1 }
    section ~ /^ *Fabric *$/ && /^        State/ { state = $2 }
    section ~ /^ *Fabric *$/ && /^        Status/ { print state " " $2 }' | sed 's/ *$//' | sort -u
}
