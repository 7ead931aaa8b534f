"""What is measured on: held-out renders, speakers, conditions."""
