#!/usr/bin/env python3
"""The example program dependencies: a database and a service that stall and fail on demand, asked through policies.
Nothing here depends on how fast the machine is."""
import concurrent.futures
import time
import unittest

from examples_test import PATIENCE, Together


class Dependencies(Together):
    command = ("dependencies", "127.0.0.1:0")

    def counters(self, name):
        """Of one dependency, once nothing is under way."""
        for _ in range(PATIENCE * 50):
            found = self.server.get("/dependencies").json()[name]
            self.assertTrue(found["balanced"], found)
            if found["active"] == found["in_flight"] == 0:
                return found
            time.sleep(0.02)
        self.fail(f"{name} is never quiet: {found}")

    def expect_served(self):
        for _ in range(PATIENCE):
            answer = self.server.get("/users/1")
            if answer.status == 200:
                break
            time.sleep(1)
        self.expect(answer, 200)

    def test_the_database_is_asked_through_its_policy(self):
        before = self.counters("database")
        self.assertEqual(self.server.get("/users/7").json(), {"id": 7, "name": "Tony 7"})
        self.expect_problem(self.server.get("/users/x"), 400)
        self.expect_problem(self.server.get("/users/999999"), 404)
        after = self.counters("database")
        self.assertEqual(after["calls"] - before["calls"], 2)
        self.assertEqual(after["failed_not_retryable"] - before["failed_not_retryable"], 1)

    def test_a_query_that_never_ends_is_given_up_and_an_older_number_told(self):
        before = self.counters("database")
        with concurrent.futures.ThreadPoolExecutor(12) as threads:
            answers = list(threads.map(self.server.get, ["/statistics?stall=1"] * 12))
        for answer in answers:
            self.assertIn(answer.status, (200, 503, 504))
            if answer.status == 200:
                self.assertEqual(answer.json(), {"users": 5000, "fresh": False})
        self.assertIn(200, [answer.status for answer in answers])
        after = self.counters("database")
        self.assertGreater(after["fallbacks"], before["fallbacks"])
        self.expect_served()  # the connections are free again

    def test_a_stalled_service_costs_a_forecast_its_age_and_nobody_else_anything(self):
        self.server.get("/forecast")
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            stalled = [threads.submit(self.server.get, "/forecast?ms=60000") for _ in range(8)]
            self.expect_served()
            for answer in (future.result(PATIENCE) for future in stalled):
                self.assertIn(answer.status, (200, 503, 504))
                if answer.status == 200:
                    self.assertEqual(answer.headers["X-Forecast-Age"], "unknown")

    def test_a_broken_service_is_not_asked_more_than_its_share(self):
        for _ in range(60):
            answer = self.server.get("/forecast?fail=1")
            self.assertIn(answer.status, (200, 503, 504))
            if answer.status == 200:
                self.assertEqual(answer.headers["X-Forecast-Age"], "unknown")
        counters = self.counters("weather")
        self.assertGreater(counters["retries"], 0)
        self.assertLessEqual(counters["attempts"], counters["calls"] * 1.1 + 10)


if __name__ == "__main__":
    unittest.main()
