# Sourced by the scripts beside it.
[ -d .venv ] && export PATH="$PWD/.venv/bin:$PATH"
# torchrun, which accelerate starts, hands SIGUSR1 on to the ranks and gives them this many seconds to save.
export PET_SIGNALS_TO_HANDLE=SIGTERM,SIGINT,SIGUSR1 PET_SHUTDOWN_TIMEOUT=100

# Runs a command, hands SIGUSR1 on to it, and requeues the job if that came.
train_until_signalled() {
  local pid= status signalled=
  trap 'signalled=1; kill -USR1 $pid 2>/dev/null' USR1
  "$@" & pid=$!
  wait $pid; status=$?
  # A trap ends wait early; the training is still saving.
  while kill -0 $pid 2>/dev/null; do wait $pid; status=$?; done
  if [ -n "$signalled" ] && [ $status -ne 0 ]; then
    echo "signalled: the job is put in the queue again and continues from the checkpoint"
    exec scontrol requeue "$SLURM_JOB_ID"
  fi
  exit $status
}
