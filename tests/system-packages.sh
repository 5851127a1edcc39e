#!/bin/sh
# Real programs and headers that some tests and benchmarks need; `make test` calls this.
# As root on Debian it installs what is missing (NO_APT=1 forbids it). Elsewhere it says loudly what is missing: the tests
# that need it are then skipped and counted. It never fails the build.
set -u

said=""

missing=""

need() { # need PACKAGE TEST-COMMAND...
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

recent_node() {
    major=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 20 ]
}

look() {
    missing=""
    need nghttp2-client command -v h2load
    need nghttp2-server sh -c 'PATH=$PATH:/usr/sbin command -v nghttpd'
    need gcc command -v cc
    need pkg-config command -v pkg-config
    need libnghttp2-dev pkg-config --exists libnghttp2
    need libssl-dev pkg-config --exists openssl
    need chromium command -v chromium
    need kamailio sh -c 'PATH=$PATH:/usr/sbin command -v kamailio'
    need kamailio-extra-modules sh -c 'ls /usr/lib/*/kamailio/modules/jansson.so'
    need kamailio-utils-modules sh -c 'ls /usr/lib/*/kamailio/modules/http_client.so'
    need linphone-cli command -v linphonec
    need sip-tester command -v sipp
    need sipsak command -v sipsak
    need prometheus command -v promtool
}

apt() { # apt COMMAND...: what it said is in $said
    apt-get -q -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=120 "$@" </dev/null >"$said" 2>&1
}

install() {
    apt install -y --no-install-recommends "$@"
}

install_missing() {
    export DEBIAN_FRONTEND=noninteractive
    said=$(mktemp) || return
    # shellcheck disable=SC2086 # a list of words
    install $missing && return
    # Lists that are old or were never fetched; and a mirror may fail for a moment.
    apt update || { sleep 5 && apt update; } || tail -n 3 "$said"
    # shellcheck disable=SC2086 # the same
    install $missing && return
    for package in $missing; do # one that cannot be had keeps no other one away
        install "$package" || { echo "system packages: $package could not be installed:" && tail -n 3 "$said"; }
    done
}

look
if [ -n "$missing" ] && [ "${NO_APT:-0}" != 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "system packages: installing$missing"
    install_missing
    rm -f "$said"
    look
fi
if [ -n "$missing" ]; then
    echo "=========================================================================================="
    echo "system packages: MISSING$missing"
    echo "Tests and benchmarks that need them WILL BE SKIPPED. On Debian: apt-get install$missing"
    echo "=========================================================================================="
fi
if ! recent_node; then
    echo "system packages: no node >= 20 on PATH: tests of clients from npm WILL BE SKIPPED"
fi
exit 0
