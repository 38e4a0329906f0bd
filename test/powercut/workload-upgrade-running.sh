# The same upgrade while the jails run; what they lose power in, they are found stopped in.
# shellcheck shell=sh

# shellcheck source=test/powercut/workload-upgrade.sh
. "${here:-/vm}/workload-upgrade.sh"

begin() { brig start -a; }
finish() { brig stop -a; }
