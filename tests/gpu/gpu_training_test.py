"""The whole trainer on one GPU against the same run on the CPU, in fp32."""

import unittest

import harness


class TrainingOnAGpu(harness.EndToEnd):
    def losses(self, device):
        directory = self.scratch / device
        result = harness.run(1, "train", *self.settings(directory, run__device=device, log__every_steps=1))
        if result.returncode == 2 and "sees no GPU" in result.stderr:
            self.skipTest(result.stderr.strip())
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = harness.json_lines(directory / "train" / "metrics.jsonl")
        return [line["loss"] for line in lines if line["kind"] == "train"]

    def test_gives_the_loss_curve_of_the_cpu(self):
        on_gpu, on_cpu = self.losses("cuda"), self.losses("cpu")

        self.assertEqual(len(on_gpu), len(on_cpu))
        self.assertGreater(len(on_cpu), 20)
        self.assertLess(abs(on_gpu[0] / on_cpu[0] - 1), 1e-6, "the first step, before any difference could grow")
        for step, (gpu, cpu) in enumerate(zip(on_gpu, on_cpu)):
            self.assertLess(abs(gpu / cpu - 1), 1e-4, f"step {step}")


if __name__ == "__main__":
    unittest.main()
