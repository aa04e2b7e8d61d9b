"""The same LightGBM model behind LitServe, without validation, features or a log. Arguments: model file, port."""

import sys

import lightgbm
import litserve
import numpy as np


class Api(litserve.LitAPI):
    def setup(self, device):
        self.booster = lightgbm.Booster(model_file=sys.argv[1])

    def decode_request(self, request):
        return np.array([request["x"]])

    def predict(self, x):
        return self.booster.predict(x, num_threads=1)

    def encode_response(self, output):
        return {"probability": float(output[0])}


if __name__ == "__main__":
    litserve.LitServer(Api(), accelerator="cpu").run(port=int(sys.argv[2]), num_api_servers=1, log_level="error")
