"""The judge: protocol, metrics, scores. Methods never compute a metric, and the judge never trains."""
