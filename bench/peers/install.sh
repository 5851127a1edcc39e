#!/usr/bin/env bash
# Installs the peers that the bench measures beside us, each from its own registry, pinned, outside of this tree.
#
# Usage: bench/peers/install.sh [PEER...]     (all: aioapns node-apn apns2 pushy)
# They go to $WAKELINE_BENCH_CACHE, else $XDG_CACHE_HOME/wakeline-bench, else ~/.cache/wakeline-bench: PEER/run starts the
# driver, PEER/version says what it is. What cannot be had leaves PEER/absent with the reason and fails nothing. Doing it
# again costs nothing while script and drivers are the same; what was absent is tried again.
# As root on Debian missing toolchains are installed by apt (NO_APT=1 forbids it).
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${WAKELINE_BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wakeline-bench}

refuse() { # refuse REASON: this peer cannot be had
    echo "$1" >"$place/absent.new"
    exit 1
}

tool() { # tool PROGRAM DEBIAN-PACKAGE...
    program=$1
    shift
    command -v "$program" >/dev/null && return
    if [ "${NO_APT:-0}" != 1 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" ||
            { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }
    fi
    command -v "$program" >/dev/null || refuse "no $program on this machine and no package $* to be had"
}

starter() { # starter COMMAND: what PEER/run executes, before the driver's own arguments
    printf '#!/bin/sh\nexec %s "$@"\n' "$1" >"$place/run"
    chmod +x "$place/run"
}

install_aioapns() {
    tool python3 python3 python3-venv
    python3 -m venv "$place/venv" || refuse "python3 -m venv failed"
    "$place/venv/bin/pip" install --quiet --disable-pip-version-check aioapns==4.0 || refuse "PyPI gave no aioapns 4.0"
    cp "$here/aioapns/drive.py" "$place/"
    starter "'$place/venv/bin/python' '$place/drive.py'"
    "$place/venv/bin/python" -c "import platform, importlib.metadata as m
print('aioapns %s, h2 %s, CPython %s' % (m.version('aioapns'), m.version('h2'), platform.python_version()))" >"$place/version"
}

install_node_apn() {
    tool node nodejs
    tool npm npm
    major=$(node --version | sed -n 's/^v\([0-9]*\).*/\1/p')
    [ "${major:-0}" -ge 20 ] || refuse "node $(node --version) is too old: 20 is wanted"
    cp "$here/node-apn/package.json" "$here/node-apn/package-lock.json" "$here/node-apn/drive.mjs" "$place/"
    (cd "$place" && npm ci --silent --no-audit --no-fund --ignore-scripts) || refuse "npm gave no @parse/node-apn 8.1.0"
    starter "node '$place/drive.mjs'"
    echo "@parse/node-apn $(node -p "require('$place/node_modules/@parse/node-apn/package.json').version"), node $(node --version)" \
        >"$place/version"
}

install_apns2() {
    tool go golang-go
    cp "$here/apns2/main.go" "$here/apns2/go.mod" "$here/apns2/go.sum" "$place/"
    # A Go from 1.21 on fetches the toolchain that go.mod names from the module proxy.
    (cd "$place" && GOTOOLCHAIN=auto GOFLAGS=-mod=readonly go build -trimpath -o apns2 .) ||
        refuse "$(go version): cannot build sideshow/apns2 0.25.0 from the module proxy"
    starter "'$place/apns2'"
    (cd "$place" && GOTOOLCHAIN=auto go version -m apns2) |
        awk 'NR == 1 {go = $2} $2 ~ /apns2$/ && $1 == "dep" {apns = $3} $2 ~ /x\/net$/ {net = $3}
             END {print "sideshow/apns2 " apns ", x/net " net ", " go}' >"$place/version"
}

install_pushy() {
    tool javac openjdk-17-jdk-headless
    tool mvn maven
    cp "$here/pushy/pom.xml" "$here/pushy/Drive.java" "$place/"
    (cd "$place" && mvn --batch-mode --quiet dependency:copy-dependencies -DoutputDirectory="$place/jars") ||
        refuse "Maven Central gave no pushy 0.15.4"
    javac -cp "$place/jars/*" -d "$place" "$place/Drive.java" || refuse "$(javac --version) cannot compile the driver"
    starter "java -XX:+UseSerialGC -cp '$place:$place/jars/*' Drive"
    echo "pushy 0.15.4, $(basename "$place"/jars/netty-handler-[0-9]*.jar .jar), netty-tcnative (BoringSSL), $(java --version | head -1)" \
        >"$place/version"
}

bring() {
    name=$1
    place="$cache/$name"
    case $name in
        aioapns | node-apn | apns2 | pushy) ;;
        *) echo "no such peer: $name" >&2; return 2 ;;
    esac
    fingerprint=$(cat "$here/install.sh" "$here/$name"/* | sha256sum | cut -d' ' -f1)
    if [ "$(cat "$place/installed" 2>/dev/null)" = "$fingerprint" ]; then
        echo "$name: present, $(cat "$place/version")"
        return
    fi
    rm -rf "$place"
    mkdir -p "$place"
    log="$place/install.log"
    if (set -e; "install_${name//-/_}") >"$log" 2>&1 </dev/null; then
        echo "$fingerprint" >"$place/installed"
        echo "$name: installed, $(cat "$place/version")"
    else
        reason=$(cat "$place/absent.new" 2>/dev/null || echo "the installation failed: $(tail -n 1 "$log")")
        echo "$reason" >"$place/absent"
        echo "$name: ABSENT, $reason (log: $log)"
    fi
}

status=0
for peer in "${@:-aioapns node-apn apns2 pushy}"; do
    for name in $peer; do
        bring "$name" || status=$?
    done
done
exit $status
