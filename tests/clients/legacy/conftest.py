"""Settings of the clients of 2023, made before they are imported."""

import os
import pathlib

# tiktoken would download its word lists; litellm's package, in the neighbouring environment, carries them.
CARRIED = "lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"
ENVIRONMENTS = pathlib.Path(__file__).resolve().parents[3] / ".work" / "clients"
for folder in ENVIRONMENTS.glob(f"*/{CARRIED}"):
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
