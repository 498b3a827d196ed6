#!/usr/bin/env bash
# Runs the course's black-box suite, unmodified, against a throw-away delivery.
#
#     make course-tests TESTS=DIR        (or: tests/course.sh DIR [PYTEST ARGUMENT]...)
#
# DIR is a clone of 7574-sistemas-distribuidos/tp0-tests. The suite expects a repository
# with a branch for each exercise, ej1 to ej8, in which server/ and client/ hold a
# Dockerfile and the configuration. The delivery is a clone of the last commit, and each
# branch adds one commit to it. No other exercise is taken out: one build does all eight.
#
# PYTEST is the command that runs pytest, "python3 -m pytest" if it is not set.
set -euo pipefail
cd "$(dirname "$0")/.."

stop_here() { echo "tests/course.sh: $1" >&2; exit 1; }

tests=${1:-}
[[ -f $tests/test_ej1.py ]] || stop_here "\"$tests\" holds no test_ej1.py; TESTS must be a clone of the course's tp0-tests"
tests=$(realpath "$tests")
read -ra pytest <<<"${PYTEST:-python3 -m pytest}"
"${pytest[@]}" --version >/dev/null 2>&1 ||
  stop_here "\"${pytest[*]}\" does not run; pip install -r $tests/requirements.txt installs it, and PYTEST names another"
docker version >/dev/null 2>&1 || stop_here "no Docker engine answers; docker version says why"
docker compose version >/dev/null 2>&1 || stop_here "docker compose (version 2) is not installed"
# The suite stops every container and removes it, and every unused network and image.
[[ -z $(docker ps -aq) ]] || stop_here "the suite removes every container of this machine, and there are some; see docker ps -a"
git diff --quiet HEAD || echo "tests/course.sh: the last commit is tested; uncommitted changes are not" >&2

work=$(mktemp -d)
volumes=$(docker volume ls -q | sort)

# The suite leaves the volumes of its containers, by a plain docker compose down.
clean_up() {
  docker compose -f "$work/delivery/docker-compose-dev.yaml" --profile netcat down -v -t 1
  comm -13 <(echo "$volumes") <(docker volume ls -q | sort) | xargs -r docker volume rm
  rm -rf "$work"
} >/dev/null 2>&1
trap clean_up EXIT

# commit MESSAGE: commits everything in the delivery.
commit() {
  git add --all
  git -c user.name=delivery -c user.email=delivery@localhost commit --quiet -m "$1"
}

git clone --quiet --no-hardlinks . "$work/delivery"
(
  cd "$work/delivery"
  git switch --quiet --create delivery
  for program in server client; do
    mv "config/$program" "$program"
    ln -s "../$program" "config/$program"
    # The suite builds the last stage.
    { cat Dockerfile && echo "FROM $program"; } >"$program/Dockerfile"
  done
  commit "delivery: the folders that the course expects"
  for exercise in {1..8}; do
    git switch --quiet --create "ej$exercise" delivery
    # What an exercise needs from the environment, which the suite does not set.
    case $exercise in
      [1-4]) setting=CLI_MODE=echo ;;
      5) setting=ONE_BET=1 ;;
      *) continue ;;
    esac
    sed -i "s/^set -euo pipefail$/&\nexport $setting/" generar-compose.sh
    commit "ej$exercise: $setting"
  done
)

# Compose 2.26 writes an escape sequence before each name of its logs, also into a pipe, and
# the suite compares the names. A docker that is first in the PATH takes it out.
mkdir "$work/bin"
cat >"$work/bin/docker" <<END
#!/bin/sh
case "\$*" in
  *" logs -f") $(command -v docker) "\$@" | sed -u 's/\x1b\[2K//g' ;;
  *) exec $(command -v docker) "\$@" ;;
esac
END
chmod +x "$work/bin/docker"
export PATH=$work/bin:$PATH

# The suite begins to read the logs once all containers are up, and expects the lines of
# different ones in the order of the events. By then a round would be over.
export CLI_BATCH_PERIOD=250ms

cd "$tests"
REPO_PATH=$work/delivery PYTHONDONTWRITEBYTECODE=1 "${pytest[@]}" -p no:cacheprovider "${@:2}"
