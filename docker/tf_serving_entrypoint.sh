#!/bin/sh
# `exec` makes the server process 1, so that `docker stop` reaches it. Further flags go after the image's name.
exec /usr/bin/tensorflow_model_server --port=8500 --rest_api_port=8501 \
    --model_name="${MODEL_NAME}" --model_base_path="${MODEL_BASE_PATH}/${MODEL_NAME}" "$@"
