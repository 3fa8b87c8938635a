# Heroku sources this before each process: what its add-ons leave open. Nothing else reads it.
if [ -n "$DYNO" ]; then
  # Heroku's Redis signs its certificate itself, and the add-on's variable can't be changed by hand.
  case "$REDIS_URL" in
    rediss://*\?*) ;;
    rediss://*) export REDIS_URL="$REDIS_URL?ssl_cert_reqs=none" ;;
  esac
  # CloudAMQP's name for it.
  if [ -z "$AMQP_URL" ] && [ -n "$CLOUDAMQP_URL" ]; then
    export AMQP_URL="$CLOUDAMQP_URL"
  fi
fi
